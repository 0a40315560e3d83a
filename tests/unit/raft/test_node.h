// One node of a Raft group, its environment played by the test: everything the core
// sends, writes and applies is kept for the test to look at.
//
//   TestNode node(Recovered(Term(2), {1, 1, 2}));    // entries of terms 1 1 2
//   node.Receive(2, 3, VoteRequest{...});
//   EXPECT_TRUE(node.Last<VoteResponse>().granted);
//
// Its disk writes at once, unless hold_disk is set; then Flush() completes the oldest
// write, and releases the messages that waited for it.
#ifndef TESTS_UNIT_RAFT_TEST_NODE_H_
#define TESTS_UNIT_RAFT_TEST_NODE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/raft/raft.h"

namespace concordat::raft {

inline Config TestConfig(uint64_t self = 1, std::vector<uint64_t> voters = {1, 2, 3}) {
  Config config;
  config.self = NodeId(self);
  config.group = GroupId(1);
  std::vector<NodeId> nodes;
  for (uint64_t voter : voters) nodes.emplace_back(voter);
  config.members = Configuration(nodes);
  config.entries_kept_behind_snapshot = 0;
  config.seed = self;
  return config;
}

inline Entry Command(uint64_t index, uint64_t term) {
  return Entry{Term(term), LogIndex(index), EntryType::kCommand,
               Payload("command " + std::to_string(index) + "/" + std::to_string(term))};
}

// Entries of these terms, the first at index `first`.
inline std::vector<Entry> Commands(uint64_t first, std::vector<uint64_t> terms) {
  std::vector<Entry> entries;
  for (uint64_t term : terms) entries.push_back(Command(first + entries.size(), term));
  return entries;
}

inline RecoveredState Recovered(uint64_t term, std::vector<uint64_t> entry_terms,
                                uint64_t vote = 0) {
  return RecoveredState{
      {Term(term), NodeId(vote)}, {}, Commands(1, std::move(entry_terms))};
}

inline SnapshotMeta Snapshot(uint64_t index, uint64_t term,
                             std::vector<NodeId> voters = {NodeId(1), NodeId(2),
                                                           NodeId(3)}) {
  return SnapshotMeta{LogIndex(index), Term(term), Configuration(std::move(voters))};
}

inline AppendRequest Append(uint64_t prev_index, uint64_t prev_term,
                            std::vector<Entry> entries, uint64_t commit = 0) {
  AppendRequest request;
  request.prev_log_index = LogIndex(prev_index);
  request.prev_log_term = Term(prev_term);
  request.entries = std::move(entries);
  request.leader_commit = LogIndex(commit);
  return request;
}

inline AppendResponse Accepted(uint64_t match, uint64_t round = 0) {
  AppendResponse response;
  response.success = true;
  response.match_index = LogIndex(match);
  response.read_round = round;
  return response;
}

inline AppendResponse Rejected(uint64_t rejected, uint64_t hint, uint64_t hint_term) {
  AppendResponse response;
  response.rejected_index = LogIndex(rejected);
  response.hint_index = LogIndex(hint);
  response.hint_term = Term(hint_term);
  return response;
}

class TestNode {
 public:
  explicit TestNode(RecoveredState recovered = {}, Config config = TestConfig())
      : raft(config, std::move(recovered)) {
    raft.Tick(now);
    Pump();
  }

  void Receive(uint64_t from, uint64_t term, Message::Body body) {
    const absl::Status status = raft.Step(
        Message{raft.group(), NodeId(from), raft.self(), Term(term), std::move(body)});
    EXPECT_TRUE(status.ok()) << status;
    Pump();
  }

  void Pass(Duration time) {
    now = now + time;
    raft.Tick(now);
    Pump();
  }
  // Long enough for any election timeout.
  void PassElectionTimeout() { Pass(Duration::Millis(500)); }

  void BecomeCandidate() {
    PassElectionTimeout();
    for (NodeId peer : raft.configuration().voters()) {
      if (raft.role() != Role::kPreCandidate || peer == raft.self()) continue;
      Receive(peer.value(), raft.term().value(),
              PreVoteResponse{raft.term().Next(), true});
    }
    ASSERT_EQ(raft.role(), Role::kCandidate);
  }
  void BecomeLeader() {
    BecomeCandidate();
    for (NodeId peer : raft.configuration().voters()) {
      if (raft.role() != Role::kCandidate || peer == raft.self()) continue;
      Receive(peer.value(), raft.term().value(), VoteResponse{true});
    }
    ASSERT_EQ(raft.role(), Role::kLeader);
  }
  // Leader whose own entry is committed, and whose peers have everything.
  void BecomeSettledLeader() {
    BecomeLeader();
    for (NodeId peer : raft.configuration().voters()) {
      if (peer == raft.self()) continue;
      Receive(peer.value(), raft.term().value(),
              Accepted(raft.log().last_index().value()));
    }
    ASSERT_EQ(raft.commit_index(), raft.log().last_index());
    Forget();
  }

  LogIndex Propose(std::vector<std::string> commands) {
    const auto first = raft.Propose(std::move(commands));
    EXPECT_TRUE(first.ok()) << first.status();
    Pump();
    return first.value_or(LogIndex());
  }

  // Carries out what the core asks for.
  void Pump() {
    while (raft.HasOutput()) {
      Output output = raft.TakeOutput();
      Keep(&sent, std::move(output.messages));
      if (output.persist.has_value()) disk.push_back({*output.persist, {}});
      if (!output.messages_after_persist.empty()) {
        ASSERT_FALSE(disk.empty());
        ASSERT_EQ(disk.back().persist.id, output.after_persist);
        Keep(&disk.back().messages, std::move(output.messages_after_persist));
      }
      for (Entry& entry : output.committed) {
        if (!hold_applying) raft.OnApplied(entry.index);
        applied.push_back(std::move(entry));
      }
      for (const ReadState& read : output.read_states) reads.push_back(read);
      if (output.soft_state.has_value()) soft_states.push_back(*output.soft_state);
      for (const Notice& notice : output.notices) notices.push_back(notice);
      for (auto& read : output.snapshot_reads) snapshot_reads.push_back(read);
      for (auto& write : output.snapshot_writes) snapshot_writes.push_back(write);
      if (output.install_snapshot.has_value())
        installs.push_back(*output.install_snapshot);
      while (!hold_disk && !disk.empty()) CompleteOldestWrite();
    }
  }

  // Completes the oldest write.
  void Flush() {
    ASSERT_FALSE(disk.empty());
    CompleteOldestWrite();
    Pump();
  }

  // All messages of one type that have left so far, to one node or to all.
  template <class Body>
  std::vector<Body> Sent(uint64_t to = 0) const {
    std::vector<Body> found;
    for (const Message& message : sent) {
      if (to != 0 && message.to != NodeId(to)) continue;
      if (const Body* body = std::get_if<Body>(&message.body)) found.push_back(*body);
    }
    return found;
  }
  // The last of them; a failure of the test when there is none.
  template <class Body>
  Body Last(uint64_t to = 0) const {
    const std::vector<Body> found = Sent<Body>(to);
    EXPECT_FALSE(found.empty()) << "no such message was sent";
    return found.empty() ? Body{} : found.back();
  }
  // The term of the last message that left.
  Term LastTerm() const { return sent.empty() ? Term() : sent.back().term; }

  // Clears what was kept of messages.
  void Forget() {
    sent.clear();
    written.clear();
  }

  std::vector<uint64_t> LogTerms() const {
    std::vector<uint64_t> terms;
    const Log& log = raft.log();
    for (LogIndex i = log.first_index(); i <= log.last_index(); i = i.Next()) {
      terms.push_back(log.At(i).term.value());
    }
    return terms;
  }

  struct Write {
    Persist persist;
    std::vector<Message> messages;  // wait for it
  };

  Timestamp now = Timestamp::FromMicros(1'000'000);
  Raft raft;
  bool hold_disk = false;
  std::deque<Write> disk;  // under way
  bool hold_applying = false;

  std::vector<Message> sent;
  std::vector<Persist> written;  // completed
  std::vector<Entry> applied;
  std::vector<ReadState> reads;
  std::vector<SoftState> soft_states;
  std::vector<Notice> notices;
  std::vector<SnapshotReadRequest> snapshot_reads;
  std::vector<SnapshotWrite> snapshot_writes;
  std::vector<SnapshotMeta> installs;

 private:
  static void Keep(std::vector<Message>* to, std::vector<Message> messages) {
    for (Message& message : messages) to->push_back(std::move(message));
  }
  void CompleteOldestWrite() {
    Write write = std::move(disk.front());
    disk.pop_front();
    Keep(&sent, std::move(write.messages));
    const PersistId id = write.persist.id;
    written.push_back(std::move(write.persist));
    raft.OnPersisted(id);
  }
};

}  // namespace concordat::raft

#endif  // TESTS_UNIT_RAFT_TEST_NODE_H_
