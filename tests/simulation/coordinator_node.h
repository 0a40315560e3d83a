// A coordinator node in the simulated world: the real group::Replica with the real state
// machines and storage::RaftStore, on a simulated disk, clock and network.
//
//   CoordinatorNode node(&world, &directory, &checks, options);
//
// After every step it looks at the replica from outside and reports its actions to Raft's
// checker and the judge.
#ifndef TESTS_SIMULATION_COORDINATOR_NODE_H_
#define TESTS_SIMULATION_COORDINATOR_NODE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/random.h"
#include "coordinator/group/machine_set.h"
#include "coordinator/group/replica.h"
#include "coordinator/machines/machines.h"
#include "coordinator/raft/invariants.h"
#include "coordinator/storage/raft_store.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/node_disk.h"
#include "tests/simulation/world.h"
#include "tests/support/counter_machine.h"

namespace concordat::simulation {

// The addresses of all processes.
struct Directory {
  std::map<NodeId, ProcessId> nodes;
  std::map<std::string, ProcessId> resources;
  std::vector<ProcessId> node_list;

  [[nodiscard]] NodeId NodeOf(ProcessId process) const;
};

struct Checks {
  Judge* judge = nullptr;
  CounterJudge* counters = nullptr;
  raft::InvariantsChecker* raft = nullptr;
};

struct NodeOptions {
  group::ReplicaConfig replica;
  txn::CoreOptions txn;
  bool counters = false;  // share the group with the transactions
  bool real_log = false;  // wal::Log on FaultEnv instead of whole records
  // Appends carry the leader's full commit index, as in Figure 2, while our leader sends
  // no more than the receiver can use. This tests the receiver's own limit.
  bool commit_as_in_paper = false;
  Duration flush_min = Duration::Micros(80);
  Duration flush_max = Duration::Micros(400);
  // Inputs are collected for so long and then processed together, as by an event loop
  // that reads everything that has arrived; zero: each is processed at once.
  Duration batch = Duration();
};

class CoordinatorNode final : public Process,
                              private group::ReplicaEnvironment,
                              private storage::LogSink {
 public:
  CoordinatorNode(World* world, const Directory* directory, const Checks& checks,
                  NodeOptions options);
  ~CoordinatorNode() override;

  // The owner adds the process to the world.
  void SetProcess(ProcessId id) { process_ = id; }
  [[nodiscard]] ProcessId process() const { return process_; }
  [[nodiscard]] NodeId id() const { return options_.replica.raft.self; }

  void Start() override;
  void Crash(bool power) override;
  void Receive(const Packet& packet) override;

  // Null while it is down.
  [[nodiscard]] const group::Replica* replica() const { return replica_.get(); }
  // A snapshot of the transactions' machine alone.
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeTransactions() {
    return machines_->of_coordinator.transactions().TakeSnapshot();
  }
  [[nodiscard]] const txn::Core& transactions() const {
    return machines_->of_coordinator.transactions();
  }
  [[nodiscard]] bool IsReadyLeader() const;
  // Sets the duration of later flushes.
  void SetFlushTime(Duration min, Duration max);
  // Whether its disk has no space for new work.
  void SetDiskFull(bool full) { disk_->SetFull(full); }
  // Whether it has another protocol version than the clients, as during an upgrade.
  void SetOtherVersion(bool other) { other_version_ = other; }
  // At its next start the disk has lost some of the end of the log, within what can be
  // survived (raft::InvariantsChecker::FirstThatMayBeLost).
  void LoseTailAtNextStart() { lose_tail_ = true; }
  // Hands the leadership over, as at a planned stop. False: no node can take over.
  bool HandOver();
  // Called at each transition that the core reports.
  using EventHook = std::function<void(const txn::Event&)>;
  void SetEventHook(EventHook hook) { event_hook_ = std::move(hook); }

 private:
  struct PendingRequest {
    ProcessId from;
    CallId call;
    Gtid gtid;
    BranchId branch;
    // For an inquiry about several branches: collects the answers.
    std::shared_ptr<InquiryReply> inquiry;
    size_t inquiry_position = 0;
    std::shared_ptr<size_t> inquiry_missing;
    bool asked_a_leader = false;  // the node was a ready leader when the request came
    bool decided_before = false;  // the outcome was in the log when it came
  };
  struct PendingCount {
    ProcessId from;
    CallId call;
    std::string operation;  // empty: a read
  };
  struct Machines {
    explicit Machines(const NodeOptions& options);
    testing::CounterMachine counters;
    machines::Machines of_coordinator;  // with the counters, when these take part
  };
  struct UnflushedPersist {
    wal::Lsn lsn;  // the LSN of the last record
    std::vector<wal::Record> records;
  };

  void SendToResource(const txn::Message& message);
  void Answer(txn::Answer answer);
  void Answer(const registry::Answer& answer);
  void Answer(const testing::CounterAnswer& answer);
  void OnEvents(const std::vector<txn::Event>& events);
  void Handle(txn::Input input);
  // Later, when the disk has worked for a while, unless the process has ended.
  void AfterDisk(std::function<void()> action);

  // group::ReplicaEnvironment
  void SendToPeer(raft::Message message) override;
  void OnMachineOutput() override;
  void OnRaftState(const raft::SoftState& state) override;
  void OnMembers(const raft::Configuration&) override {}
  void OnRaftNotice(const raft::Notice& notice) override;
  void SaveSnapshot(const raft::SnapshotMeta& meta,
                    std::unique_ptr<group::SnapshotSource> source) override;
  void ReceiveSnapshot(raft::SnapshotWrite part) override {
    disk_->ReceiveSnapshot(part);
  }
  void DropReceivedSnapshot() override { disk_->DropReceivedSnapshot(); }
  void RestoreSnapshot(const raft::SnapshotMeta& meta,
                       std::unique_ptr<group::SnapshotRestore> restore) override;
  absl::StatusOr<std::string> ReadSnapshot(const raft::SnapshotMeta& meta,
                                           uint64_t offset, size_t max_bytes,
                                           bool* last) override;
  // storage::LogSink
  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                  wal::Reserve use) override;
  void ReleaseBefore(wal::Lsn lsn) override { disk_->ReleaseBefore(lsn); }
  wal::Lsn durable_lsn() const override { return disk_->durable_lsn(); }
  bool HasSpace(wal::Reserve use) const override { return disk_->HasSpace(use); }

  void ShowWhatSurvived(wal::Lsn last);
  void LoseTail();
  void Tick();
  // Called after an input: processes it now, or together with the inputs that follow
  // soon.
  void Wake();
  void Act();
  void ArmTimer();
  void StartFlush();
  void HouseKeep();
  void OnFlushed(wal::Lsn durable);
  void ObserveApplied();
  void CountRaftPaths();

  void Handle(const Packet& packet, const raft::Message& message);
  void Handle(const Packet& packet, const BeginCall& call);
  void Handle(const Packet& packet, const CommitCall& call);
  void Handle(const Packet& packet, const RollbackCall& call);
  void Handle(const Packet& packet, const OutcomeCall& call);
  void Handle(const Packet& packet, const EnlistCall& call);
  void Handle(const Packet& packet, const InquiryCall& call);
  void Handle(const Packet& packet, const RegisterCall& call);
  void Handle(const Packet& packet, const VerbReply& reply);
  void Handle(const Packet& packet, const CounterCall& call);
  template <class T>
  void Handle(const Packet&, const T&) {}

  void Submit(PendingRequest pending, txn::Request request);
  void SendVerbs();
  void AnswerInquiry(const PendingRequest& pending, const txn::Reply& reply);
  [[nodiscard]] OutcomeReply ToOutcomeReply(const PendingRequest& pending,
                                            const txn::Reply& reply);
  // Fails the run and returns none when no request waits with this token.
  std::optional<PendingRequest> TakePending(group::RequestToken token);
  [[nodiscard]] Code RefusedCode(const PendingRequest& pending, bool overloaded);
  // True: the request was refused because of the client's version, and is answered.
  template <class Reply>
  [[nodiscard]] bool RefuseVersion(const Packet& packet);

  World* world_;
  const Directory* directory_;
  Checks checks_;
  NodeOptions options_;
  ProcessId process_;
  Random random_;
  std::unique_ptr<NodeDisk> disk_;
  EventHook event_hook_;
  bool other_version_ = false;
  bool lose_tail_ = false;

  // The state of the present incarnation.
  std::unique_ptr<storage::RaftStore> store_;
  std::unique_ptr<Machines> machines_;
  std::unique_ptr<group::Replica> replica_;
  bool acting_ = false;
  bool act_scheduled_ = false;
  bool flushing_ = false;
  Timestamp timer_at_ = Timestamp::Infinite();
  std::deque<UnflushedPersist> unflushed_;
  LogIndex observed_;
  uint64_t last_token_ = 0;
  uint64_t steps_ = 0;
  absl::flat_hash_map<txn::RequestToken, PendingRequest> requests_;
  std::map<uint64_t, PendingCount> counts_;
  std::map<std::pair<std::string, txn::Verb>, std::vector<BranchId>> verbs_;
  raft::Counters counted_;
  std::set<Gtid> timing_out_;  // their abort after a time-out is being logged
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_COORDINATOR_NODE_H_
