// Pipelining, batching and their limits; lost, repeated and reordered messages; and the
// leader's disk writes in parallel to its network.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(Pipeline, Appends_AreSentAheadOfTheirAnswersUpToTheLimit) {
  Config config = TestConfig();
  config.max_inflight_appends = 3;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  for (int i = 0; i < 5; ++i) node.Propose({"x"});
  ASSERT_EQ(node.Sent<AppendRequest>(2).size(), 3u);
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.front().index, LogIndex(4));
  EXPECT_EQ(node.raft.counters().inflight_limit_reached, 2u);
  // What has waited is sent in one batch; the answer to the second covers the first.
  node.Receive(2, 1, Accepted(3));
  ASSERT_EQ(node.Sent<AppendRequest>(2).size(), 4u);
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 2u);
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.front().index, LogIndex(5));
}

TEST(Pipeline, ProposalsBetweenTwoOutputs_TravelInOneAppendAndOneWrite) {
  TestNode node;
  node.BecomeSettledLeader();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(node.raft.Propose({"x"}).ok());
  node.Pump();
  ASSERT_EQ(node.Sent<AppendRequest>(2).size(), 1u);
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 10u);
  ASSERT_EQ(node.written.size(), 1u);
  EXPECT_EQ(node.written[0].entries.size(), 10u);
}

TEST(Pipeline, Append_HoldsNoMoreThanItsBytesButOneEntryAtLeast) {
  Config config = TestConfig();
  config.max_append_bytes = 10;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  node.Propose({"aaaa", "bbbb", "cccccccccccccccccccc", "d"});
  std::vector<size_t> sizes;
  for (const auto& append : node.Sent<AppendRequest>(3)) {
    sizes.push_back(append.entries.size());
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{2, 1, 1}));
}

TEST(Pipeline, Probe_IsOneAppendAtATime) {
  TestNode node(Recovered(1, {1}));
  node.BecomeLeader();
  node.Propose({"x"});
  node.Propose({"y"});
  EXPECT_EQ(node.Sent<AppendRequest>(2).size(), 1u);
  node.Receive(2, 2, Accepted(2));
  ASSERT_EQ(node.Sent<AppendRequest>(2).size(), 2u);
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 2u);
}

Config SmallWrites() {
  Config config = TestConfig();
  config.max_persist_bytes = 200;
  config.max_unflushed_bytes = 400;
  return config;
}

size_t Bytes(const Persist& persist) {
  size_t bytes = 0;
  for (const Entry& entry : persist.entries) bytes += entry.data.size() + 64;
  return bytes;
}

TEST(OwnDisk, Scenario80_ManyEntriesAtOnce_AreWrittenInPortionsAsTheDiskHasRoom) {
  TestNode node({}, SmallWrites());
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose(std::vector<std::string>(100, "x"));
  size_t unflushed = 0;
  for (const auto& write : node.disk) {
    EXPECT_LE(Bytes(write.persist), 200u);
    unflushed += Bytes(write.persist);
  }
  EXPECT_GT(unflushed, 0u);
  EXPECT_LE(unflushed, 400u);
  EXPECT_GT(node.raft.counters().persists_held_for_disk, 0u);
  EXPECT_FALSE(node.raft.HasOutput()) << "asked for in a busy loop";
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(1));

  // Each write that ends makes room for another one besides those in flight.
  for (int i = 0; i < 10; ++i) {
    node.Flush();
    size_t left = 0;
    for (const auto& write : node.disk) left += Bytes(write.persist);
    EXPECT_GT(left, 200u);
    EXPECT_LE(left, 400u);
  }
  while (!node.disk.empty()) node.Flush();
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(101));
  for (const Persist& persist : node.written) EXPECT_LE(Bytes(persist), 200u);
}

TEST(OwnDisk, LargeEntry_GoesAlone) {
  TestNode node({}, SmallWrites());
  node.BecomeSettledLeader();
  node.Propose({"x", std::string(1000, 'y'), "z"});
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(4));
}

TEST(OwnDisk, AcknowledgementOfEntriesThatWaitForTheDisk_LeavesWhenTheyAreFlushed) {
  Config config = SmallWrites();
  config.self = NodeId(2);
  TestNode node({}, config);
  node.hold_disk = true;
  node.Receive(1, 1, Append(0, 0, Commands(1, std::vector<uint64_t>(20, 1))));
  ASSERT_LT(node.disk.size(), 20u);
  while (!node.disk.empty()) {
    EXPECT_TRUE(node.Sent<AppendResponse>(1).empty());
    node.Flush();
  }
  EXPECT_EQ(node.Last<AppendResponse>(1).match_index, LogIndex(20));
}

// The limit of what is in flight has more room than one write takes.
TEST(OwnDisk, WriteBesideASmallOne_HoldsNoMoreThanItsBytes) {
  Config config = SmallWrites();
  config.max_unflushed_bytes = 4000;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  node.Propose(std::vector<std::string>(30, "x"));
  ASSERT_GT(node.disk.size(), 10u);
  for (const auto& write : node.disk) EXPECT_LE(Bytes(write.persist), 200u);
}

// The other leader's log has the same length, but other entries than those that the
// acknowledgement is about.
TEST(OwnDisk, AcknowledgementOfEntriesThatAnotherLeaderHasReplaced_DoesNotLeave) {
  Config config = SmallWrites();
  config.self = NodeId(2);
  TestNode node({}, config);
  node.hold_disk = true;
  node.Receive(1, 1, Append(0, 0, Commands(1, std::vector<uint64_t>(20, 1))));
  node.Receive(3, 2, Append(0, 0, Commands(1, std::vector<uint64_t>(25, 2))));
  while (!node.disk.empty()) node.Flush();
  EXPECT_TRUE(node.Sent<AppendResponse>(1).empty());
  EXPECT_EQ(node.Last<AppendResponse>(3).match_index, LogIndex(25));
}

// Entries that were overwritten in memory before they were written were never on disk.
TEST(OwnDisk, AcknowledgementOfEntriesThatWereNeverWritten_DoesNotLeave) {
  Config config = SmallWrites();
  config.self = NodeId(2);
  TestNode node({}, config);
  node.hold_disk = true;
  node.Receive(1, 1, Append(0, 0, Commands(1, std::vector<uint64_t>(20, 1))));
  node.Receive(3, 2, Append(0, 0, Commands(1, {2})));
  while (!node.disk.empty()) node.Flush();
  EXPECT_TRUE(node.Sent<AppendResponse>(1).empty());
  EXPECT_EQ(node.Last<AppendResponse>(3).match_index, LogIndex(1));
}

TEST(Replication, LostAppend_IsFoundByTheNextMessage) {
  TestNode leader;
  leader.BecomeSettledLeader();
  leader.Propose({"x"});  // lost on its way to 2
  leader.Propose({"y"});
  TestNode follower(
      RecoveredState{{Term(1), NodeId()},
                     {},
                     {Entry{Term(1), LogIndex(1), EntryType::kTermStart, {}}}},
      TestConfig(2));
  follower.Receive(1, 1, leader.Last<AppendRequest>(2));
  ASSERT_FALSE(follower.Last<AppendResponse>(1).success);
  leader.Receive(2, 1, follower.Last<AppendResponse>(1));
  follower.Receive(1, 1, leader.Last<AppendRequest>(2));
  EXPECT_TRUE(follower.Last<AppendResponse>(1).success);
  EXPECT_EQ(follower.raft.log().last_index(), LogIndex(3));
}

TEST(Replication, LastAppendLost_IsFoundByAHeartbeat) {
  TestNode leader;
  leader.BecomeSettledLeader();
  leader.Propose({"x"});
  leader.Forget();
  leader.Pass(Duration::Millis(40));
  const AppendRequest heartbeat = leader.Last<AppendRequest>(2);
  EXPECT_TRUE(heartbeat.entries.empty());
  EXPECT_EQ(heartbeat.prev_log_index, LogIndex(2));
  leader.Receive(2, 1, Rejected(2, 1, 1));
  EXPECT_EQ(leader.Last<AppendRequest>(2).entries.size(), 1u);
}

TEST(Replication, AnswersRepeatedAndReordered_ChangeNothing) {
  TestNode node;
  node.BecomeSettledLeader();
  for (int i = 0; i < 4; ++i) node.Propose({"x"});
  node.Receive(2, 1, Accepted(5));
  node.Receive(2, 1, Accepted(3));
  node.Receive(2, 1, Accepted(5));
  node.Receive(2, 1, Rejected(3, 1, 1));  // from before the acknowledgement
  const Progress& progress = node.raft.progress().at(NodeId(2));
  EXPECT_EQ(progress.match, LogIndex(5));
  EXPECT_EQ(progress.next, LogIndex(6));
  EXPECT_EQ(progress.state, ProgressState::kReplicate);
  EXPECT_EQ(node.raft.commit_index(), LogIndex(5));
}

TEST(Replication, ProbeAnsweredByAnOldRejection_StaysWhereItIs) {
  TestNode node(Recovered(5, {1, 1, 1, 1, 1}));
  node.BecomeLeader();
  node.Receive(2, 6, Rejected(5, 3, 1));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).next, LogIndex(4));
  node.Receive(2, 6, Rejected(5, 3, 1));
  node.Receive(2, 6, Rejected(4, 1, 1));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).next, LogIndex(4));
}

// End of section 5.3: one rejection for each term that differs, not for each entry.
TEST(Replication, LogsThatDifferInManyEntries_AreMatchedInFewRounds) {
  std::vector<uint64_t> leader_terms(5, 1);
  leader_terms.insert(leader_terms.end(), 200, 4);
  std::vector<uint64_t> follower_terms(5, 1);
  follower_terms.insert(follower_terms.end(), 100, 2);
  follower_terms.insert(follower_terms.end(), 150, 3);
  TestNode leader(Recovered(4, leader_terms));
  TestNode follower(Recovered(4, follower_terms), TestConfig(2));
  leader.BecomeLeader();
  int rounds = 0;
  do {
    ASSERT_LT(++rounds, 5);
    follower.Receive(1, 5, leader.Last<AppendRequest>(2));
    leader.Receive(2, 5, follower.Last<AppendResponse>(1));
  } while (!follower.Last<AppendResponse>(1).success);
  leader_terms.push_back(5);
  EXPECT_EQ(follower.LogTerms(), leader_terms);
}

TEST(Replication, FollowerNeverTellsTheLeaderToGoBehindItsCommitIndex) {
  TestNode node(Recovered(3, {1, 1, 2, 2}));
  node.Receive(2, 3, Append(2, 1, {}, 2));
  node.Receive(2, 3, Append(9, 3, {}));
  EXPECT_GE(node.Last<AppendResponse>(2).hint_index, LogIndex(2));
  // A late, old message: all of its entries are committed here.
  node.Receive(2, 3, Append(0, 0, Commands(1, {1}), 1));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
}

// The limit at the sender.
TEST(CommitIndex, Sent_IsNoMoreThanWhatTheMessageEndsWith) {
  Config config = TestConfig();
  config.max_append_bytes = 1;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  node.Propose({"x", "y", "z"});
  node.Receive(2, 1, Accepted(4));
  ASSERT_EQ(node.raft.commit_index(), LogIndex(4));
  node.Receive(3, 1, Rejected(3, 1, 1));  // 3 lost all of them
  const AppendRequest append = node.Last<AppendRequest>(3);
  ASSERT_EQ(append.entries.size(), 1u);
  EXPECT_EQ(append.leader_commit, LogIndex(2));
  // The same in all other messages.
  for (const auto& sent : node.Sent<AppendRequest>()) {
    EXPECT_LE(sent.leader_commit.value(),
              sent.prev_log_index.value() + sent.entries.size());
  }
}

TEST(LeadersDisk, AppendsLeaveBeforeItsOwnWriteIsFlushed) {
  TestNode node;
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  EXPECT_EQ(node.Sent<AppendRequest>(2).size(), 1u);
  EXPECT_EQ(node.disk.size(), 1u);
}

TEST(LeadersDisk, OwnCopy_CountsOnlyWhenFlushed) {
  TestNode node;
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  node.Receive(2, 1, Accepted(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(1));
  node.Flush();
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
}

TEST(LeadersDisk, QuorumOfFollowers_CommitsWithoutIt_AppliedWhenItIsHereToo) {
  TestNode node;
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  node.Receive(2, 1, Accepted(2));
  node.Receive(3, 1, Accepted(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
  EXPECT_EQ(node.raft.applied_index(), LogIndex(1));
  node.Flush();
  EXPECT_EQ(node.raft.applied_index(), LogIndex(2));
}

// Heartbeats can be sent between two portions.
TEST(CommitIndex, ManyEntriesCommittedAtOnce_AreHandedOutInPortions) {
  Config config = TestConfig();
  config.max_committed_per_output = 10;
  TestNode node({}, config);
  node.Receive(2, 1, Append(0, 0, Commands(1, std::vector<uint64_t>(35, 1))));
  ASSERT_TRUE(node.raft
                  .Step(Message{GroupId(1), NodeId(2), NodeId(1), Term(1),
                                Append(35, 1, {}, /*commit=*/35)})
                  .ok());
  std::vector<size_t> portions;
  while (node.raft.HasOutput()) {
    const Output output = node.raft.TakeOutput();
    if (!output.committed.empty()) portions.push_back(output.committed.size());
  }
  EXPECT_EQ(portions, (std::vector<size_t>{10, 10, 10, 5}));
}

TEST(Disk, SeveralWritesUnderWay_EachReleasesItsOwnAcknowledgement) {
  TestNode node(Recovered(1, {}));
  node.hold_disk = true;
  node.Receive(2, 1, Append(0, 0, Commands(1, {1})));
  node.Receive(2, 1, Append(1, 1, Commands(2, {1})));
  ASSERT_EQ(node.disk.size(), 2u);
  EXPECT_TRUE(node.Sent<AppendResponse>().empty());
  node.Flush();
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(1));
  node.Flush();
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(2));
}

TEST(Disk, HeartbeatWhileAWriteIsUnderWay_IsAnsweredAtOnceForWhatIsDurable) {
  TestNode node(Recovered(1, {1}));
  node.Receive(2, 1, Append(1, 1, {}));
  node.Forget();
  node.hold_disk = true;
  node.Receive(2, 1, Append(1, 1, Commands(2, {1})));
  node.Receive(2, 1, Append(1, 1, {}));
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(1));
}

// The flush of an overwritten entry says nothing about the entry that replaced it.
TEST(Disk, EntryOverwrittenWhileItsWriteIsUnderWay_TheOldFlushDoesNotCount) {
  TestNode node(Recovered(1, {1}));
  node.hold_disk = true;
  node.Receive(2, 1, Append(1, 1, Commands(2, {1, 1, 1})));
  node.Receive(3, 2, Append(2, 1, Commands(3, {2, 2}), /*commit=*/4));
  EXPECT_EQ(node.raft.counters().truncations_of_pending_persist, 1u);
  node.Flush();
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(2));
  EXPECT_EQ(node.applied, Commands(1, {1, 1}));
  for (const AppendResponse& response : node.Sent<AppendResponse>(3)) {
    EXPECT_FALSE(response.success && response.match_index > LogIndex(2));
  }
  node.Flush();
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(4));
  EXPECT_EQ(node.Last<AppendResponse>(3).match_index, LogIndex(4));
  EXPECT_EQ(node.applied, [] {
    auto expected = Commands(1, {1, 1});
    for (auto& entry : Commands(3, {2, 2})) expected.push_back(entry);
    return expected;
  }());
}

// A deposed leader leads again while the write of its first term is still in flight.
TEST(Disk, LeaderWithOverwrittenEntriesInFlight_DoesNotCountThem) {
  TestNode node(Recovered(1, {1}));
  node.BecomeLeader();  // term 2, own entry 2
  node.Receive(2, 2, Accepted(2));
  node.hold_disk = true;
  node.Propose({"a", "b"});                            // 3 and 4, in flight
  node.Receive(3, 3, Append(2, 2, Commands(3, {3})));  // 3 is from another leader now
  node.Flush();                                        // of a and b
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(2));
}

TEST(Propose, NotTheLeader_SaysWhoIs) {
  TestNode node;
  const auto unknown = node.raft.Propose({"x"});
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kFailedPrecondition);
  node.Receive(2, 1, Append(0, 0, {}));
  const auto known = node.raft.Propose({"x"});
  EXPECT_EQ(known.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(known.status().message().find("node 2"), absl::string_view::npos);
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(0));
}

TEST(Propose, OverTheLimitOfUncommittedBytes_RefusesAllAndRecovers) {
  Config config = TestConfig();
  config.max_uncommitted_bytes = 1000;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  EXPECT_EQ(node.raft.uncommitted_bytes(), 0u);
  node.Propose({std::string(500, 'x')});
  const auto refused = node.raft.Propose({"y", std::string(400, 'x')});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(2));
  EXPECT_EQ(node.raft.Propose({std::string(1000, 'x')}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(node.raft.Propose({}).status().code(), absl::StatusCode::kInvalidArgument);
  node.Receive(2, 1, Accepted(2));
  EXPECT_EQ(node.raft.uncommitted_bytes(), 0u);
  EXPECT_EQ(node.Propose({"y", std::string(400, 'x')}), LogIndex(3));
}

TEST(Propose, NewLeader_CountsWhatItInherited) {
  TestNode node(Recovered(1, {1, 1, 1}));
  node.BecomeLeader();
  EXPECT_GT(node.raft.uncommitted_bytes(), 3 * Command(1, 1).data.size());
  node.Receive(2, 2, Accepted(4));
  EXPECT_EQ(node.raft.uncommitted_bytes(), 0u);
}

TEST(Messages, ThatNoCorrectPeerSends_AreRefusedAndChangeNothing) {
  TestNode node(Recovered(2, {1, 2}));
  const auto step = [&node](uint64_t group, uint64_t from, uint64_t to, uint64_t term,
                            Message::Body body) {
    return node.raft
        .Step(Message{GroupId(static_cast<uint32_t>(group)), NodeId(from), NodeId(to),
                      Term(term), std::move(body)})
        .code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(step(2, 2, 1, 9, VoteRequest{}), kInvalid);
  EXPECT_EQ(step(1, 2, 3, 9, VoteRequest{}), kInvalid);
  EXPECT_EQ(step(1, 1, 1, 9, VoteRequest{}), kInvalid);
  EXPECT_EQ(step(1, 7, 1, 9, VoteRequest{}), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 0, VoteRequest{}), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, Append(2, 2, Commands(4, {2}))), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, Append(2, 2, Commands(3, {1}))), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, Append(2, 2, Commands(3, {10}))), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, Append(2, 0, {})), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, Append(UINT64_MAX, 2, Commands(0, {2}))), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, PreVoteRequest{Term(9), LogIndex(9), Term(9)}), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, SnapshotChunk{Snapshot(0, 0), 0, {}, true}), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, SnapshotChunk{Snapshot(5, 10), 0, {}, true}), kInvalid);
  EXPECT_EQ(step(1, 2, 1, 9, SnapshotChunk{Snapshot(5, 5, {}), 0, {}, true}), kInvalid);
  EXPECT_EQ(
      step(1, 2, 1, 9, SnapshotChunk{Snapshot(5, 5), UINT64_MAX, Payload("x"), true}),
      kInvalid);
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(2), NodeId()}));
  EXPECT_FALSE(node.raft.HasOutput());
}

TEST(Messages, AcknowledgementOfWhatTheLeaderDoesNotHave_IsDropped) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Receive(2, 1, Accepted(77));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(1));
  EXPECT_EQ(node.raft.counters().malformed_messages, 1u);
}

// The part of scenario 50 that concerns Raft.
TEST(Messages, EntryOfAnUnknownType_IsRefusedBeforeItIsAcknowledged) {
  TestNode node(Recovered(1, {1}));
  AppendRequest append = Append(1, 1, Commands(2, {1}));
  append.entries[0].type = static_cast<EntryType>(9);
  const absl::Status status =
      node.raft.Step(Message{GroupId(1), NodeId(2), NodeId(1), Term(1), append});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  node.Pump();
  EXPECT_TRUE(node.sent.empty());
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(1));
}

}  // namespace
}  // namespace concordat::raft
