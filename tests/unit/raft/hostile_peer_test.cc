// Scenario 79: well-formed messages that no correct peer sends. None of them may end the
// process, and none may change what is committed.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "coordinator/raft/raft.h"
#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

// Numbers near those that matter, and near the limits of arithmetic.
uint64_t Absurd(const Raft& raft, Random* random) {
  const uint64_t anchors[] = {0,
                              1,
                              raft.log().base_index().value(),
                              raft.commit_index().value(),
                              raft.log().last_index().value(),
                              raft.term().value(),
                              uint64_t{1} << 40,
                              uint64_t{1} << 62,
                              uint64_t{1} << 63,
                              UINT64_MAX};
  return anchors[random->Below(std::size(anchors))] +
         static_cast<uint64_t>(random->Between(-2, 2));
}

class Liar {
 public:
  Liar(const Raft* raft, uint64_t seed) : raft_(raft), random_(seed) {}

  Message Next() {
    const NodeId froms[] = {NodeId(1), NodeId(2), NodeId(2), NodeId(3), NodeId(9)};
    const NodeId from = froms[random_.Below(std::size(froms))];
    // Mostly a term that the node accepts.
    const Term term = random_.Percent(70) ? raft_->term() : Term(Number());
    return Message{raft_->group(), from, raft_->self(), term, Body()};
  }

 private:
  uint64_t Number() { return Absurd(*raft_, &random_); }
  LogIndex Index() { return LogIndex(Number()); }
  Term AnyTerm() { return random_.Percent(50) ? Term(random_.Below(6)) : Term(Number()); }

  std::vector<Entry> Entries(LogIndex first) {
    std::vector<Entry> entries;
    Term term = AnyTerm();
    for (uint64_t i = random_.Below(12); i > 0; --i) {
      if (random_.Percent(20)) term = Term(term.value() + random_.Below(3));
      const auto type = static_cast<EntryType>(random_.Below(5));
      entries.push_back(Entry{
          term, first, random_.Percent(90) ? EntryType::kCommand : type, Payload("lie")});
      first = random_.Percent(98) ? first.Next() : Index();
    }
    return entries;
  }
  SnapshotMeta Meta() {
    std::vector<NodeId> voters{NodeId(1), NodeId(2), NodeId(3)};
    if (random_.Percent(5)) voters.pop_back();
    if (random_.Percent(5)) voters = {NodeId(7)};
    return SnapshotMeta{Index(), AnyTerm(), Configuration(voters)};
  }
  AppendRequest AnyAppend() {
    AppendRequest request;
    request.prev_log_index = Index();
    request.prev_log_term = AnyTerm();
    request.entries = Entries(request.prev_log_index.Next());
    request.leader_commit = Index();
    request.acknowledged_index = random_.Percent(80) ? LogIndex() : Index();
    request.promised_index = request.acknowledged_index;
    if (!request.promised_index.is_none()) request.promised_term = AnyTerm();
    request.loss_round = random_.Below(3);
    request.read_round = Number();
    return request;
  }
  AppendResponse AnyResponse() {
    AppendResponse response;
    response.success = random_.Percent(50);
    response.match_index = Index();
    response.rejected_index = Index();
    response.hint_index = Index();
    response.hint_term = AnyTerm();
    response.lost_tail = random_.Percent(20);
    response.no_space = random_.Percent(20);
    response.loss_round = random_.Below(3);
    response.read_round = Number();
    return response;
  }
  Message::Body Body() {
    switch (random_.Below(10)) {
      case 0:
        return PreVoteRequest{AnyTerm(), Index(), AnyTerm()};
      case 1:
        return PreVoteResponse{AnyTerm(), random_.Percent(50)};
      case 2:
        return VoteRequest{Index(), AnyTerm()};
      case 3:
        return VoteResponse{random_.Percent(50)};
      case 4:
      case 5:
        return AnyAppend();
      case 6:
        return AnyResponse();
      case 8:
        return TimeoutNow{};
      case 7:
        last_meta_ = random_.Percent(50) ? last_meta_ : Meta();
        return SnapshotChunk{
            last_meta_, random_.Percent(50) ? random_.Below(4) : Number(),
            Payload(std::string(random_.Below(3), 's')), random_.Percent(30)};
      default:
        return SnapshotChunkResponse{Index(), Number(), Number()};
    }
  }

  const Raft* const raft_;
  Random random_;
  SnapshotMeta last_meta_{LogIndex(9), Term(3),
                          Configuration({NodeId(1), NodeId(2), NodeId(3)})};
};

// The committed entries that are still in memory.
std::vector<std::pair<LogIndex, Term>> Committed(const Raft& raft) {
  std::vector<std::pair<LogIndex, Term>> entries;
  for (LogIndex i = raft.log().first_index(); i <= raft.commit_index(); i = i.Next()) {
    entries.emplace_back(i, raft.log().At(i).term);
  }
  return entries;
}

void ExpectStillCommitted(const Raft& raft,
                          const std::vector<std::pair<LogIndex, Term>>& before) {
  for (const auto& [index, term] : before) {
    if (index < raft.log().base_index()) continue;
    EXPECT_TRUE(raft.log().Matches(index, term)) << "committed entry " << index;
  }
}

// The environment carries out the core's output, late but in order.
void CarryOut(TestNode* node, Random* random) {
  for (const SnapshotMeta& meta : std::exchange(node->installs, {})) {
    if (random->Percent(50) && node->raft.MayInstall(meta)) {
      node->raft.OnSnapshotInstalled(meta);
    } else {
      node->raft.OnSnapshotInstallFailed(meta);
    }
  }
  for (const SnapshotReadRequest& read : std::exchange(node->snapshot_reads, {})) {
    if (read.offset <= 6) {
      node->raft.OnSnapshotChunkRead(read.to, read.meta, read.offset, "s", false);
    } else {
      node->raft.OnSnapshotChunkGone(read.to, read.meta);
    }
  }
  node->Pump();
}

enum class Start : uint8_t { kFollower, kCompacted, kLeader };

std::unique_ptr<TestNode> MakeNode(Start start) {
  auto node = std::make_unique<TestNode>(Recovered(3, {1, 1, 2, 2, 3, 3}));
  if (start == Start::kLeader) {
    node->BecomeLeader();
    node->Propose({"a", "b", "c"});
    return node;
  }
  node->Receive(2, 3, Append(6, 3, {}, 5));
  if (start == Start::kCompacted) {
    node->raft.OnSnapshotTaken(node->raft.SnapshotMetaAt(LogIndex(4)));
    node->Pump();
  }
  return node;
}

void LieTo(Start start, uint64_t seed) {
  Random random(seed);
  auto node = MakeNode(start);
  Liar liar(&node->raft, seed);
  for (int i = 0; i < 400; ++i) {
    const auto committed = Committed(node->raft);
    const LogIndex commit = node->raft.commit_index();
    (void)node->raft.Step(liar.Next());
    if (random.Percent(50)) node->Pump();
    if (random.Percent(30)) CarryOut(node.get(), &random);
    if (random.Percent(3)) node->Pass(Duration::Millis(500));
    EXPECT_GE(node->raft.commit_index(), commit);
    ExpectStillCommitted(node->raft, committed);
    node->Forget();
  }
}

TEST(HostilePeer, Scenario79_RandomLies_EndNothingAndUndoNothingCommitted) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    for (const Start start : {Start::kFollower, Start::kCompacted, Start::kLeader}) {
      LieTo(start, seed);
    }
    if (testing::Test::HasFailure()) return;
  }
}

// The message is refused, and nothing was changed.
void ExpectRefused(TestNode* node, uint64_t from, uint64_t term, Message::Body body) {
  const HardState before = node->raft.hard_state();
  const std::vector<uint64_t> log = node->LogTerms();
  const LogIndex commit = node->raft.commit_index();
  const absl::Status status = node->raft.Step(Message{
      node->raft.group(), NodeId(from), node->raft.self(), Term(term), std::move(body)});
  EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsUnimplemented(status)) << status;
  node->Pump();
  EXPECT_EQ(node->raft.hard_state(), before);
  EXPECT_EQ(node->LogTerms(), log);
  EXPECT_EQ(node->raft.commit_index(), commit);
}

TEST(HostilePeer, Scenario79_SecondLeaderOfATerm_IsRefused) {
  auto leader = MakeNode(Start::kLeader);
  const uint64_t term = leader->raft.term().value();
  ExpectRefused(leader.get(), 2, term, Append(6, 3, {}));
  ExpectRefused(leader.get(), 2, term, SnapshotChunk{Snapshot(50, 4), 0, {}, true});
  auto follower = MakeNode(Start::kFollower);
  ExpectRefused(follower.get(), 3, 3, Append(6, 3, {}));
}

TEST(HostilePeer, Scenario79_OtherEntriesThanTheCommitted_AreRefused) {
  for (const Start start : {Start::kFollower, Start::kCompacted}) {
    auto node = MakeNode(start);
    ExpectRefused(node.get(), 2, 3, Append(5, 2, {}));                   // at prev
    ExpectRefused(node.get(), 2, 9, Append(4, 2, Commands(5, {4, 4})));  // in a new term
    ExpectRefused(node.get(), 2, 3, Append(2, 1, Commands(3, {1, 1, 1, 1, 1})));
  }
}

TEST(HostilePeer, Scenario79_NumbersWithoutAnEnd_AreRefused) {
  auto node = MakeNode(Start::kFollower);
  for (const uint64_t term : {(uint64_t{1} << 40) + 10, uint64_t{1} << 63, UINT64_MAX}) {
    ExpectRefused(node.get(), 2, term, VoteRequest{LogIndex(9), Term(3)});
    ExpectRefused(node.get(), 2, term, PreVoteResponse{Term(4), false});
    ExpectRefused(node.get(), 2, term, Append(6, 3, {}));
  }
  for (const uint64_t index : {(uint64_t{1} << 62) + 1, UINT64_MAX - 1, UINT64_MAX}) {
    ExpectRefused(node.get(), 2, 3, Append(index, 3, {}));
    ExpectRefused(node.get(), 2, 3, SnapshotChunk{Snapshot(index, 3), 0, {}, true});
    ExpectRefused(node.get(), 2, 3, SnapshotChunk{Snapshot(9, 3), index, {}, false});
  }
}

TEST(HostilePeer, Scenario79_SnapshotOfOtherVoters_IsRefused) {
  auto node = MakeNode(Start::kFollower);
  ExpectRefused(node.get(), 2, 3,
                SnapshotChunk{Snapshot(9, 3, {NodeId(2), NodeId(3)}), 0, {}, true});
  ExpectRefused(node.get(), 2, 3, SnapshotChunk{Snapshot(9, 2), 0, {}, true});
}

// While the snapshot is being saved, a later entry is committed that contradicts it.
TEST(HostilePeer, Scenario79_SnapshotOvertakenByOtherEntries_IsNotInstalled) {
  auto node = MakeNode(Start::kFollower);
  node->Receive(2, 3, SnapshotChunk{Snapshot(8, 3), 0, Payload("s"), true});
  ASSERT_EQ(node->installs.size(), 1u);
  node->Receive(2, 5, Append(6, 3, Commands(7, {4, 4, 4}), 9));
  ASSERT_EQ(node->raft.commit_index(), LogIndex(9));
  EXPECT_FALSE(node->raft.MayInstall(Snapshot(8, 3)));
  node->raft.OnSnapshotInstallFailed(Snapshot(8, 3));
  node->Pump();
  EXPECT_EQ(node->raft.log().last_index(), LogIndex(9));
}

}  // namespace
}  // namespace concordat::raft
