// A Core with a log that the test commits by hand.
//
//   Log log;
//   Node node(&log);  node.Lead();                  // leader of term 1, ready
//   Gtid g = node.NewGtid();
//   auto t = node.Commit(g, {A(g), B(g)});
//   node.Vote(A(g), Vote::kPrepared);
//   node.CommitLog();                               // applies what it has appended
//   EXPECT_EQ(node.Said(t), "COMMITTED");
//
// A second Node on the same Log sees what was committed there, and no more.
#ifndef TESTS_UNIT_TXN_HARNESS_H_
#define TESTS_UNIT_TXN_HARNESS_H_

#include <map>
#include <string>
#include <vector>

#include "coordinator/txn/core.h"

namespace concordat::txn {

inline constexpr GroupId kGroup{1};

[[nodiscard]] BranchId MakeBranch(const Gtid& gtid, const std::string& resource,
                                  uint64_t number = 1);
// Three resources.
[[nodiscard]] inline BranchId A(const Gtid& gtid) { return MakeBranch(gtid, "bank-a"); }
[[nodiscard]] inline BranchId B(const Gtid& gtid) { return MakeBranch(gtid, "bank-b"); }
[[nodiscard]] inline BranchId C(const Gtid& gtid) { return MakeBranch(gtid, "bank-c"); }
[[nodiscard]] inline Gtid G(uint64_t term, uint64_t sequence) {
  return Gtid{kGroup, Term(term), sequence};
}

// The records that are log-committed, in order; index 1 is the first.
struct Log {
  std::vector<std::string> committed;
};

// A core's snapshot, and a core that has it.
[[nodiscard]] std::vector<std::string> SnapshotOf(Core* core);
[[nodiscard]] absl::Status Restore(Core* core, const std::vector<std::string>& portions,
                                   LogIndex at);

// A table's snapshot as bytes, and back. The errors are TableRestore's, or DATA_LOSS.
[[nodiscard]] std::string EncodeSnapshot(TransactionTable* table);
[[nodiscard]] absl::StatusOr<TransactionTable> DecodeSnapshot(std::string_view bytes);

class Node {
 public:
  explicit Node(Log* log, const CoreOptions& options = CoreOptions())
      : core_(kGroup, options), log_(log) {}

  // Becomes leader and, unless told otherwise, applies its own term's entry.
  void Lead(uint64_t term = 1, bool ready = true);
  void Ready();
  void Lose();
  // Appends nothing of its own; applies what is log-committed and not applied here.
  void CatchUp();

  RequestToken Submit(Request request);
  RequestToken Commit(const Gtid& gtid, std::vector<BranchId> branches,
                      CommitMode mode = CommitMode::kDecided,
                      int64_t timeout_ms = 10'000);
  RequestToken Rollback(const Gtid& gtid, std::vector<BranchId> branches = {},
                        AbortCause cause = AbortCause::kRolledBack);
  RequestToken Enlist(const BranchId& branch);
  RequestToken Inquire(const BranchId& branch);
  RequestToken Outcome(const Gtid& gtid, bool wait = false);
  Gtid NewGtid();

  void Vote(const BranchId& branch, concordat::Vote vote, const std::string& detail = "");
  void Prepared(const std::vector<BranchId>& branches);
  void Ack(const BranchId& branch, FinishState result = FinishState::kDone,
           std::string_view detail = "");
  void Pass(Duration time);  // and Tick
  // Others confirm that this node leads, and it has applied what was committed.
  void ConfirmReads();
  // Commits the first `count` appended records and applies them, and whatever they
  // make the core append too if count is left out.
  void CommitLog();
  void CommitLog(size_t count);
  // The whole of it: voted, decided, acknowledged, ended.
  void RunToEnd(const Gtid& gtid, const std::vector<BranchId>& branches);
  // Decided COMMIT, and put on record as ended by hand, in part.
  void RunToHeuristic(const Gtid& gtid, const BranchId& branch);

  // What was answered: Describe(reply); "" when nothing yet.
  [[nodiscard]] std::string Said(RequestToken token) const;
  // How often that was sent.
  [[nodiscard]] int Sent(Verb verb, const BranchId& branch) const;
  [[nodiscard]] int Happened(EventKind kind) const;
  // The last event of that kind, as text.
  [[nodiscard]] std::string LastEvent(EventKind kind) const;
  // Appended and not committed, as text.
  [[nodiscard]] std::vector<std::string> Appended() const;

  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] const TransactionTable& table() const { return core_.table(); }
  [[nodiscard]] Timestamp now() const { return now_; }
  [[nodiscard]] std::vector<std::string>& pending() { return pending_; }
  void Collect();
  // Reads are confirmed at once, unless this is set.
  bool hold_reads = false;

 private:
  void ApplyNext();

  Core core_;
  Log* log_;
  size_t applied_ = 0;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  uint64_t term_ = 0;
  uint64_t next_token_ = 1;
  std::vector<std::string> pending_;
  std::vector<Message> messages_;
  std::vector<group::ReadToken> reads_;
  std::vector<Event> events_;
  std::map<RequestToken, std::string> answers_;
};

namespace internal {
struct OwnLog {
  Log own_log;
};
}  // namespace internal

// A node with a log that nobody else has, and its leader.
class LeadingNode : private internal::OwnLog, public Node {
 public:
  explicit LeadingNode(const CoreOptions& options) : Node(&own_log, options) { Lead(1); }
};

}  // namespace concordat::txn

#endif  // TESTS_UNIT_TXN_HARNESS_H_
