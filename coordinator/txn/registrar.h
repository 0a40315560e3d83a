// Registrar: the requests about resources and heuristic outcomes at a ready leader.
// The table keeps both; here are who waits for a record, and the heartbeats, which
// nobody needs after an election.
#ifndef COORDINATOR_TXN_REGISTRAR_H_
#define COORDINATOR_TXN_REGISTRAR_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/txn/options.h"
#include "coordinator/txn/output.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

class Registrar {
 public:
  Registrar(const CoreOptions& options, const TransactionTable& table, Output* out)
      : options_(options), table_(table), out_(*out) {}

  void Register(RequestToken token, const RegisterResourceRequest& request,
                Timestamp now);
  void ForgetHeuristic(RequestToken token, const ForgetHeuristicRequest& request);
  void Retire(RequestToken token, const RetireResourceRequest& request, Timestamp now);

  // See Core::AdmitNewWork. What changes nothing is answered all the same.
  void AdmitNewWork(bool admit) { admits_new_work_ = admit; }

  // This node is ready to lead. It has heard of no resource yet.
  void BeginTerm(Timestamp now) { ready_since_ = now; }

  // After the table has applied the record.
  // Its record was overtaken: by that of another store, or by a later one of its own.
  void OnOvertaken(const ResourceRecord& record, Timestamp now);
  void OnResource(const ResourceRecord& record, bool only_generation, Timestamp now);
  void OnHeuristic(const HeuristicRecord& record);
  void OnRetired(const RetiredRecord& record, const RetiredEffect& effect, Timestamp now);

  // The last registration of a resource that was refused, until one is accepted. For
  // operators: nothing is decided by it.
  struct LastRefusal {
    std::string why;
    Timestamp when;
  };
  [[nodiscard]] const LastRefusal* FindRefusal(const std::string& resource) const;

  // Why its participant cannot use the resource now, as its last heartbeat said. Empty:
  // it can, or nothing was heard since this leader began.
  [[nodiscard]] std::string Unavailable(const std::string& resource) const;

  void Abandon();
  [[nodiscard]] std::optional<Timestamp> LastSeen(const std::string& resource) const;

 private:
  [[nodiscard]] std::optional<RefusedReply> Objection(
      const ResourceRecord& resource) const;
  // Of one that the table does not take.
  [[nodiscard]] RefusedReply WrongStore(const ResourceRecord& resource) const;
  // Why the name cannot be given up now; empty: it can.
  [[nodiscard]] std::string UseOf(const std::string& name, Timestamp now) const;
  void Refuse(RequestToken token, const std::string& resource, RefusedReply reply,
              Timestamp now);
  void RefuseForSpace(RequestToken token);
  void Accept(RequestToken token, const std::string& resource);

  const CoreOptions& options_;
  const TransactionTable& table_;
  Output& out_;
  std::map<std::string, Timestamp> last_seen_;
  std::map<std::string, std::string> unavailable_;
  std::map<std::string, LastRefusal> refused_;  // of names that are in the table
  std::vector<std::pair<RequestToken, ResourceRecord>> registering_;
  std::vector<std::pair<RequestToken, BranchId>> forgetting_;
  std::vector<std::pair<RequestToken, RetiredRecord>> retiring_;
  Timestamp ready_since_;
  bool admits_new_work_ = true;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_REGISTRAR_H_
