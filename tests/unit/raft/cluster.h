// Some nodes of one Raft group in one thread, with a network that loses, repeats and
// delays messages, and disks that lose what was not flushed when a node crashes. One seed
// decides everything. The invariants are checked after every step.
//
// It is small on purpose and tests the core alone.
#ifndef TESTS_UNIT_RAFT_CLUSTER_H_
#define TESTS_UNIT_RAFT_CLUSTER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/random.h"
#include "coordinator/raft/invariants.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

struct ClusterOptions {
  uint64_t nodes = 3;
  // Nodes besides, which wait to be taken in. With any, the members are changed at random
  // and nodes lose their disks.
  uint64_t spare_nodes = 0;
  uint64_t seed = 1;
  uint64_t loss_percent = 10;
  uint64_t duplicate_percent = 10;
  Duration delay_max = Duration::Millis(40);
  Duration flush_min;
  Duration flush_max = Duration::Millis(20);
  uint64_t snapshot_every = 25;  // entries
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options);

  // Makes one random event: time passes, a message arrives, a flush ends, a proposal or a
  // read is made, a node crashes or restarts, the network fails or is repaired.
  void RandomStep();
  // From here on nothing is lost, all nodes run and the network works.
  void StopFaults();
  // Takes in again who has lost its disk, and makes every learner a voter. To be called
  // after StopFaults.
  void RepairMembers();
  // Runs for that time without new faults.
  void RunFor(Duration time);

  // The index at the leader of the highest term. nullopt: it refuses, or there is none.
  std::optional<LogIndex> ProposeAtLeader(std::string command);
  [[nodiscard]] Raft* Leader() const;
  // The state machine of each member: all commands applied, as one text.
  [[nodiscard]] std::vector<std::string> AppliedStates() const;
  [[nodiscard]] std::vector<ClusterKey> ClusterKeys() const;
  [[nodiscard]] const InvariantsChecker& checker() const { return checker_; }
  // The sum over all nodes and all their restarts.
  [[nodiscard]] Counters TotalCounters() const;
  [[nodiscard]] uint64_t reads_answered() const { return reads_answered_; }
  [[nodiscard]] uint64_t crashes() const { return crashes_; }
  [[nodiscard]] uint64_t disks_lost() const { return disks_lost_; }
  // Reads that did not see what was applied at some node before they began.
  [[nodiscard]] uint64_t stale_reads() const { return stale_reads_; }

 private:
  // The state machine, and what a snapshot holds of it.
  struct Machine {
    LogIndex applied;
    std::string text;
  };
  struct SnapshotFile {
    SnapshotMeta meta;
    std::string bytes;
  };
  struct Disk {
    HardState hard_state;
    SnapshotMeta snapshot;  // as the log knows it
    std::map<LogIndex, Entry> entries;
    std::map<LogIndex, SnapshotFile> files;  // durable as soon as they are written
  };
  struct Write {
    Persist persist;
    std::vector<Message> messages;
    Timestamp done_at;
  };
  struct Node {
    NodeId id;
    LogId log;           // another one when the disk was lost
    bool joins = false;  // it has lost its disk, and does not begin a group again
    Disk disk;
    std::unique_ptr<Raft> raft;  // null while down
    Machine machine;
    std::deque<Write> writes;  // under way
    SnapshotFile receiving;
    std::optional<std::pair<SnapshotMeta, Timestamp>> installing;
    std::map<ReadToken, LogIndex> reads;  // what each must show
    int64_t clock_drift_percent = 0;
    bool has_space = true;
  };
  struct Packet {
    Timestamp arrives_at;
    Message message;
  };

  void Start(Node* node);
  void Crash(Node* node);
  void LoseTail(Node* node);
  void AfterInput(Node* node);
  void CarryOut(Node* node, Output output);
  void SendAll(std::vector<Message> messages);
  void Apply(Node* node, const Entry& entry);
  void AnswerReads(Node* node, const Output& output);
  void ReceiveSnapshot(Node* node, const Output& output);
  void FinishInstall(Node* node);
  void TakeSnapshot(Node* node);
  void FinishWrite(Node* node);
  static SnapshotFile FileInForce(const Disk& disk);
  // Removes snapshots before the one in force, except the one that is being sent.
  static void WriteToDisk(Disk* disk, const Persist& persist,
                          LogIndex snapshot_in_use = LogIndex());
  void DeliverDue();
  void AdvanceTime(Duration step);
  void RandomFault();
  void RandomInput();
  // cluster_members.cc
  void RandomMemberChange();
  void LoseDisk(Node* node);
  [[nodiscard]] bool MayLoseDisk(const Node& node);
  // By the leader's configuration.
  [[nodiscard]] bool IsMember(NodeId node) const;
  [[nodiscard]] bool IsThatMember(const Member& member) const;
  void Change(MemberChange::Kind kind, NodeId node);
  Node& RandomNode();
  [[nodiscard]] bool Reaches(NodeId from, NodeId to) const {
    return !cut_.contains({from, to});
  }

  ClusterOptions options_;
  Random random_;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  std::vector<Node> nodes_;
  std::vector<Packet> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;  // one-way
  std::vector<NodeId> voters_;
  InvariantsChecker checker_;
  Counters past_counters_;
  LogIndex applied_anywhere_;
  uint64_t next_command_ = 0;
  uint64_t next_read_ = 0;
  uint64_t reads_answered_ = 0;
  uint64_t stale_reads_ = 0;
  uint64_t crashes_ = 0;
  uint64_t disks_lost_ = 0;
  Timestamp disk_lost_at_;  // the last time
  uint64_t lives_ = 0;
};

}  // namespace concordat::raft

#endif  // TESTS_UNIT_RAFT_CLUSTER_H_
