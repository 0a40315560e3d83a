// Registrar: the registry's part that only a ready leader has. It answers requests about
// resources, holds those that wait for a record, and keeps the heartbeats, which nobody
// needs after an election.
//
// It acts on the table's state only, never on "I appended it".
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
  // All of them outlive it. What changes nothing is answered without room on the disk.
  Registrar(const Options& options, const ResourceTable& table, ResourceUsers* users,
            const DiskRoom& room, Output* out)
      : options_(options), table_(table), users_(*users), room_(room), out_(*out) {}

  // This node is ready to lead. It has heard of no resource yet.
  void BeginTerm(Timestamp now) { ready_since_ = now; }
  // Leadership is lost: forgets all. Who waits for a record is answered Undecided, since
  // it was appended, and may reach the log under the next leader.
  void Abandon();

  void Register(RequestToken token, const RegisterResourceRequest& request,
                Timestamp now);
  void Retire(RequestToken token, const RetireResourceRequest& request, Timestamp now);

  // After the table has applied the record.
  void OnApplied(const Record& record, Effect effect, Timestamp now);

  // In the order of names.
  [[nodiscard]] std::vector<ResourceView> Views(Timestamp now) const;
  // Why its participant cannot use the resource now, as its last heartbeat said. Empty:
  // it can, or nothing was heard since this leader began.
  [[nodiscard]] std::string Unavailable(const std::string& resource) const;

 private:
  // What this leader has heard of a resource.
  struct Heard {
    std::optional<Timestamp> last_seen;
    std::string unavailable;
    // The last registration that was refused, until one is accepted. For operators:
    // nothing is decided by it.
    std::string refused;
    Timestamp refused_at;
  };

  // Why it cannot be registered; none: it can.
  [[nodiscard]] std::optional<RefusedReply> Objection(
      const ResourceRecord& resource) const;
  // Of one that the table does not take.
  [[nodiscard]] RefusedReply WrongStore(const ResourceRecord& resource) const;
  // Why the name cannot be given up now; empty: it can.
  [[nodiscard]] std::string UseOf(const std::string& name, Timestamp now) const;
  [[nodiscard]] Reply AnswerTo(const Record& record, Effect effect, Timestamp now) const;

  void NoteHeartbeat(const RegisterResourceRequest& request, Timestamp now);
  void Propose(RequestToken token, Record record);
  // Also keeps what became of a registration, for operators.
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
  ResourceUsers& users_;
  const DiskRoom& room_;
  Output& out_;
  std::map<std::string, Heard> heard_;  // by name
  // Who waits for which record.
  std::vector<std::pair<RequestToken, Record>> waiting_;
  Timestamp ready_since_;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REGISTRAR_H_
