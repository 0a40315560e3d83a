// Registrar: the part of the registry that works at a ready leader only. It answers
// requests about resources, keeps those that wait for a record, and remembers the
// heartbeats, which are not needed after an election.
//
// It acts on the state of the table, and never on the fact that it has proposed a record.
#ifndef COORDINATOR_REGISTRY_REGISTRAR_H_
#define COORDINATOR_REGISTRY_REGISTRAR_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/disk_room.h"
#include "coordinator/group/request.h"
#include "coordinator/registry/options.h"
#include "coordinator/registry/output.h"
#include "coordinator/registry/request.h"
#include "coordinator/registry/resource_users.h"
#include "coordinator/registry/table.h"
#include "coordinator/registry/view.h"

namespace concordat::registry {

using group::RequestToken;

class Registrar {
 public:
  // All of them outlive this. Requests that change nothing are also answered when there
  // is no room on the disk.
  Registrar(const Options& options, const ResourceTable& table, ResourceUsers* users,
            const DiskRoom& room, Output* out)
      : options_(options), table_(table), users_(*users), room_(room), out_(*out) {}

  // This node is ready to lead. It has heard of no resource yet.
  void BeginTerm(Timestamp now) { ready_since_ = now; }
  // Leadership is lost: everything is forgotten. Requests that wait for a record are
  // answered Undecided, since the record may still be committed by the next leader.
  void Abandon();

  void Register(RequestToken token, const RegisterResourceRequest& request,
                Timestamp now);
  void Retire(RequestToken token, const RetireResourceRequest& request, Timestamp now);

  // The table has applied the record.
  void OnApplied(const Record& record, Effect effect, Timestamp now);

  // In the order of names.
  [[nodiscard]] std::vector<ResourceView> Views(Timestamp now) const;
  // Why the participant cannot use the resource now, as its last heartbeat said. Empty:
  // it can, or nothing was heard of it since this node leads.
  [[nodiscard]] std::string Unavailable(const std::string& resource) const;

 private:
  // What this leader has heard of a resource.
  struct Heard {
    std::optional<Timestamp> last_seen;  // the last heartbeat; none: there was none
    std::string unavailable;             // see Unavailable
    // Why the last registration was refused, and when. Empty once one was accepted. It is
    // for operators only: nothing is decided by it.
    std::string refused;
    Timestamp refused_at;
  };

  // Why the resource cannot be registered. None: it can.
  [[nodiscard]] std::optional<RefusedReply> Objection(
      const ResourceRecord& resource) const;
  // The refusal of a resource whose store may not have the name.
  [[nodiscard]] RefusedReply WrongStore(const ResourceRecord& resource) const;
  // Why the name cannot be given up now. Empty: it can.
  [[nodiscard]] std::string UseOf(const std::string& name, Timestamp now) const;
  [[nodiscard]] Reply AnswerTo(const Record& record, Effect effect, Timestamp now) const;

  void NoteHeartbeat(const RegisterResourceRequest& request, Timestamp now);
  void Propose(RequestToken token, Record record);
  // Also remembers for operators whether the registration was refused.
  void RespondToRegistration(RequestToken token, const std::string& resource, Reply reply,
                             Timestamp now);
  void Respond(RequestToken token, Reply reply) {
    Answer& answer = out_.answers.emplace_back();
    answer.token = token;
    answer.reply = std::move(reply);
  }
  void Emit(EventKind kind, std::string detail, Timestamp now) {
    out_.events.push_back(Event{now, kind, std::move(detail)});
  }

  const Options& options_;
  const ResourceTable& table_;
  ResourceUsers& users_;  // the transactions
  const DiskRoom& room_;
  Output& out_;  // the registry's
  std::map<std::string, Heard>
      heard_;  // by name; only of names in the table, or proposed
  // The requests that wait for a record to be applied.
  std::vector<std::pair<RequestToken, Record>> waiting_;
  Timestamp ready_since_;  // when this node became ready to lead
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REGISTRAR_H_
