#include "tests/unit/txn/harness.h"

#include <gtest/gtest.h>

#include <utility>

#include "coordinator/base/check.h"

namespace concordat::txn {

BranchId MakeBranch(const Gtid& gtid, const std::string& resource, uint64_t number) {
  BranchId branch;
  branch.gtid = gtid;
  branch.resource = resource;
  branch.incarnation = Incarnation(0x5f3c);
  branch.number = number;
  return branch;
}

std::vector<std::string> SnapshotOf(Core* core) {
  std::vector<std::string> portions;
  const auto source = core->TakeSnapshot();
  while (auto portion = source->Next()) portions.push_back(*std::move(portion));
  return portions;
}

std::string EncodeSnapshot(TransactionTable* table) {
  ByteWriter out;
  const auto source = table->TakeSnapshot();
  while (const auto portion = source->Next()) out.Bytes(*portion);
  return out.Take();
}

absl::StatusOr<TransactionTable> DecodeSnapshot(std::string_view bytes) {
  TableRestore restore(kGroup, LogIndex(UINT64_MAX));
  ByteReader in(bytes);
  while (!in.at_end()) {
    const std::string_view portion = in.Bytes();
    if (!in.ok()) return absl::DataLossError("no portion");
    if (absl::Status s = restore.Append(portion); !s.ok()) return s;
  }
  if (absl::Status s = restore.Finish(); !s.ok()) return s;
  return std::move(restore.table());
}

absl::Status Restore(Core* core, const std::vector<std::string>& portions, LogIndex at) {
  const auto restore = core->BeginRestore(at);
  for (const std::string& portion : portions) {
    if (absl::Status s = restore->Append(portion); !s.ok()) return s;
  }
  absl::Status status = restore->Finish();
  if (status.ok()) restore->Install();
  return status;
}

void Node::Collect() {
  Output out = core_.TakeOutput();
  for (std::string& record : out.proposals) pending_.push_back(std::move(record));
  for (Message& message : out.messages) messages_.push_back(std::move(message));
  for (Event& event : out.events) events_.push_back(std::move(event));
  for (const Answer& answer : out.answers) {
    const bool first = answers_.emplace(answer.token, Describe(answer.reply)).second;
    EXPECT_TRUE(first) << "two answers to one request: " << answers_[answer.token]
                       << " and " << Describe(answer.reply);
  }
  reads_.insert(reads_.end(), out.reads.begin(), out.reads.end());
  if (!hold_reads) ConfirmReads();
}

void Node::ConfirmReads() {
  const std::vector<group::ReadToken> reads = std::exchange(reads_, {});
  for (const group::ReadToken token : reads) core_.OnReadConfirmed(token, now_);
  if (!reads.empty()) Collect();
}

void Node::Lead(uint64_t term, bool ready) {
  term_ = term;
  core_.BecomeLeader(Term(term), now_);
  Collect();
  if (ready) Ready();
}

void Node::Ready() {
  core_.LeaderReady(Term(term_), now_);
  Collect();
}

void Node::Lose() {
  core_.LoseLeadership(now_);
  pending_.clear();
  Collect();
}

void Node::ApplyNext() {
  const std::string& record = log_->committed[applied_++];
  ASSERT_TRUE(core_.Apply(LogIndex(applied_), record, now_).ok());
  Collect();
}

void Node::CatchUp() {
  while (applied_ < log_->committed.size()) ApplyNext();
}

RequestToken Node::Submit(Request request) {
  const RequestToken token(next_token_++);
  core_.Handle(SubmittedRequest{token, std::move(request)}, now_);
  Collect();
  return token;
}

RequestToken Node::Commit(const Gtid& gtid, std::vector<BranchId> branches,
                          CommitMode mode, int64_t timeout_ms) {
  return Submit(
      CommitRequest{gtid, std::move(branches), mode, Duration::Millis(timeout_ms)});
}

RequestToken Node::Rollback(const Gtid& gtid, std::vector<BranchId> branches,
                            AbortCause cause) {
  return Submit(
      RollbackRequest{gtid, std::move(branches), cause, "changed its mind", "the test"});
}

RequestToken Node::Enlist(const BranchId& branch) {
  return Submit(EnlistRequest{branch});
}
RequestToken Node::Inquire(const BranchId& branch) {
  return Submit(InquireRequest{branch});
}
RequestToken Node::Outcome(const Gtid& gtid, bool wait) {
  return Submit(OutcomeRequest{gtid, wait});
}

Gtid Node::NewGtid() {
  const RequestToken token(next_token_++);
  core_.Handle(SubmittedRequest{token, AllocateGtidsRequest{1}}, now_);
  Output out = core_.TakeOutput();
  CONCORDAT_CHECK(out.answers.size() == 1 && out.proposals.empty());
  const auto* block = std::get_if<GtidBlockReply>(&out.answers[0].reply);
  CONCORDAT_CHECK(block != nullptr) << Describe(out.answers[0].reply);
  return block->first;
}

void Node::Vote(const BranchId& branch, concordat::Vote vote, const std::string& detail) {
  core_.Handle(ReceivedVote{branch, vote, detail}, now_);
  Collect();
}

void Node::Prepared(const std::vector<BranchId>& branches) {
  for (const BranchId& branch : branches) Vote(branch, Vote::kPrepared);
}

void Node::Ack(const BranchId& branch, FinishState result, std::string_view detail) {
  core_.Handle(ReceivedAck{branch, result, std::string(detail)}, now_);
  Collect();
}

void Node::Pass(Duration time) {
  now_ = now_ + time;
  core_.Tick(now_);
  Collect();
}

void Node::CommitLog(size_t count) {
  CONCORDAT_CHECK(count <= pending_.size()) << count << " of " << pending_.size();
  for (size_t i = 0; i < count; ++i) {
    log_->committed.push_back(std::move(pending_.front()));
    pending_.erase(pending_.begin());
    CatchUp();
  }
}

void Node::CommitLog() {
  while (!pending_.empty()) CommitLog(1);
}

void Node::RunToEnd(const Gtid& gtid, const std::vector<BranchId>& branches) {
  Commit(gtid, branches);
  Prepared(branches);
  CommitLog();
  for (const BranchId& branch : branches) Ack(branch);
  Pass(Duration::Millis(200));
  CommitLog();
  ASSERT_EQ(table().StateOf(gtid), TxnState::kEnded);
}

void Node::RunToHeuristic(const Gtid& gtid, const BranchId& branch) {
  Commit(gtid, {branch});
  CommitLog();
  Prepared({branch});
  CommitLog();
  Ack(branch, FinishState::kHeuristicMixed, "by hand");
  CommitLog();
  ASSERT_TRUE(table().heuristics().contains(branch));
}

std::string Node::Said(RequestToken token) const {
  const auto found = answers_.find(token);
  return found == answers_.end() ? "" : found->second;
}

int Node::Sent(Verb verb, const BranchId& branch) const {
  int count = 0;
  for (const Message& message : messages_) {
    if (message.verb == verb && message.branch == branch) ++count;
  }
  return count;
}

int Node::Happened(EventKind kind) const {
  int count = 0;
  for (const Event& event : events_) {
    if (event.kind == kind) ++count;
  }
  return count;
}

std::string Node::LastEvent(EventKind kind) const {
  std::string text;
  for (const Event& event : events_) {
    if (event.kind == kind) text = Describe(event);
  }
  return text;
}

std::vector<std::string> Node::Appended() const {
  std::vector<std::string> lines;
  for (const std::string& bytes : pending_) {
    auto record = DecodeRecord(bytes);
    lines.push_back(record.ok() ? Describe(*record) : record.status().ToString());
  }
  return lines;
}

}  // namespace concordat::txn
