// RandomRun: cores, resource managers and clients under a scheduler that does nothing
// right: leaders change, deposed ones act on, messages are lost, repeated and late,
// resource managers restart, clients repeat themselves, change their minds and vanish.
//
//   RandomRun run(seed);
//   run.Storm(3000);            // steps with everything that can go wrong
//   run.Heal();                 // nothing goes wrong any more
//   run.problems();             // empty if every promise was kept
//
// The log stands in for Raft: one leader a term whose appends are committed in order;
// when it is deposed a prefix of what it had appended survives, and nothing after.
#ifndef TESTS_UNIT_TXN_RANDOM_RUN_H_
#define TESTS_UNIT_TXN_RANDOM_RUN_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/random.h"
#include "coordinator/txn/core.h"

namespace concordat::txn {

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed);

  void Storm(int steps);
  void Heal();

  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  // How often a rare path was taken.
  [[nodiscard]] const std::map<std::string, int>& counts() const { return counts_; }

 private:
  struct Server {
    std::unique_ptr<Core> core;
    size_t applied = 0;
    std::vector<std::string> pending;
    uint64_t term = 0;  // that it believes to lead; 0: none
  };
  enum class Place : uint8_t { kActive, kPrepared, kReadOnly, kAlone, kGone };
  struct BranchState {
    Place place = Place::kActive;
    bool writes = true;
    bool committed = false;
    bool rolled_back = false;
  };
  struct Envelope {
    size_t server = 0;
    Message message;
  };
  struct Asked {
    Gtid gtid;
    std::optional<BranchId> inquiry;
    std::optional<BranchId> enlistment;
    bool committed_before = false;  // somebody had been told COMMITTED
  };
  struct Client {
    Gtid gtid;
    std::vector<BranchId> branches;
    CommitMode mode = CommitMode::kDecided;
    bool wants_commit = true;
  };
  struct Told {
    bool committed = false;
    bool aborted = false;
    std::set<BranchId> enlisted;
  };

  // Time and the log.
  void Step();
  void CommitSome(uint64_t at_most);
  void CatchUp(Server* server);
  void ChangeLeader();
  void MakeReady();
  void Collect(size_t server);

  // Resource managers.
  void DeliverAny();
  void Deliver(const Envelope& envelope);
  Vote Prepare(BranchState* branch);
  void Settle(const BranchId& id, bool commit);
  void RestartResource();
  void InquireSomewhere();

  // Clients.
  void NewClient();
  void ClientActs();
  void Submit(size_t server, Request request, Asked asked);
  void Hear(const Asked& asked, const Reply& reply);
  std::vector<BranchId> AnyBranches(const Gtid& gtid, bool start);

  using CommittedSets = std::map<Gtid, std::set<BranchId>>;
  [[nodiscard]] CommittedSets ReplayLog() const;
  void CheckServers();
  void CheckOutcomes();
  void Problem(const std::string& what) { problems_.push_back(what); }
  void Count(const std::string& what) { ++counts_[what]; }
  size_t AnyServer() { return static_cast<size_t>(random_.Below(servers_.size())); }

  Random random_;
  CoreOptions options_;
  uint64_t speed_;  // of the mail
  Timestamp now_;
  bool storming_ = true;
  std::vector<Server> servers_;
  std::vector<std::string> log_;
  size_t leader_ = 0;
  uint64_t term_ = 0;
  std::vector<std::string> surviving_;  // of the last leader, not yet committed
  bool ready_ = false;
  std::vector<Envelope> mail_;
  std::map<BranchId, BranchState> branches_;
  std::vector<Client> clients_;
  std::map<Gtid, Told> told_;
  std::map<std::pair<size_t, RequestToken>, Asked> asked_;
  uint64_t next_token_ = 1;
  uint64_t next_number_ = 1;
  std::vector<std::string> problems_;
  std::map<std::string, int> counts_;
};

}  // namespace concordat::txn

#endif  // TESTS_UNIT_TXN_RANDOM_RUN_H_
