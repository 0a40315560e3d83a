// Node: a coordinator node on an event loop: its log, its snapshots, its state machines
// and their replica, and the requests that wait for an answer. What connects it to others
// is handed in, so that the daemon (sockets) and an embedding process (function calls)
// share it.
//
//   auto node = Node::Open(loop, PosixFileEnv(), options);
//   (*node)->Start(&peers, &resources);
//   (*node)->Submit(txn::CommitRequest{...}, [](txn::Reply reply) { ... });
//
// Everything is called on the loop's thread. Open, Start and the destructor may also be
// called before the loop runs and after it has ended.
#ifndef COORDINATOR_NODE_NODE_H_
#define COORDINATOR_NODE_NODE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/base/log_limit.h"
#include "coordinator/group/replica.h"
#include "coordinator/machines/machines.h"
#include "coordinator/node/address_book.h"
#include "coordinator/node/node_log.h"
#include "coordinator/node/pending_members.h"
#include "coordinator/node/snapshot_worker.h"
#include "coordinator/rpc/coordinator_service.h"
#include "coordinator/rpc/peer_transport.h"
#include "coordinator/rpc/resource_messenger.h"
#include "coordinator/storage/raft_store.h"
#include "coordinator/storage/snapshot_store.h"
#include "coordinator/txn/core.h"
#include "thrift/rpc/event_loop.h"
#include "wal/log_writer.h"

namespace concordat::node {

struct NodeOptions {
  // Is created if it does not exist. It belongs to one node of one cluster for ever: the
  // directory of another node or cluster is refused. Two clusters of the same name differ
  // in the first entry of their logs, and their nodes do not take each other's messages.
  std::string data_dir;
  // Is shown in logs, and is a safeguard: a node does not speak to nodes whose cluster
  // has another name.
  std::string cluster_name = "concordat";
  NodeId self;  // this node
  // Where this node is reached.
  NodeAddresses own;
  // The members with which the cluster begins, including this node; all of them are
  // started with the same. When the log holds members, those count. Empty: this node
  // waits to be added to a cluster.
  std::map<NodeId, NodeAddresses> members;
  // The group whose transactions this node serves. The log may hold other groups too.
  GroupId group{1};
  // Times and limits, and when snapshots are taken. The identity, the voters and the seed
  // are filled in from the members above.
  group::ReplicaConfig replica;
  txn::CoreOptions txn;        // of the transactions' state machine
  registry::Options registry;  // of the registry's state machine
  wal::LogOptions log;         // dir and owner are filled in
  // on_durable is filled in.
  wal::LogWriterOptions writer = {.flush_here_below = Duration::Micros(300)};
};

class Node final : public rpc::CoordinatorBackend, private group::ReplicaEnvironment {
 public:
  // Recovers from the directory.
  //   INVALID_ARGUMENT     no directory is named
  //   FAILED_PRECONDITION  another process uses it, or it belongs to another node or
  //                        cluster
  //   DATA_LOSS            it is damaged; the text names file and offset, and nothing was
  //                        changed
  //   others               it could not be read or written
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Node>> Open(rpc::EventLoop* loop,
                                                                  FileEnv* env,
                                                                  NodeOptions options);
  // Requests that have no answer yet are answered Undecided: what they began may be on
  // disk.
  ~Node() override;

  // The node takes part in its cluster from here on. The senders outlive it.
  void Start(rpc::PeerSender* peers, rpc::ResourceSender* resources);

  void OnPeerMessage(raft::Message message, const rpc::SaidAddresses& said);

  // A leader hands its leadership over, before the node is stopped. False: it does not
  // lead, or nobody can take over. After true, replica().raft().is_transferring() is true
  // until the transfer has ended.
  bool HandOver();

  // Takes an answer of a participant (see rpc::HandleAnswer). Requests of clients come
  // through Submit.
  void Handle(txn::Input input);

  // rpc::CoordinatorBackend
  void Submit(txn::Request request, Done done) override;
  void Submit(registry::Request request, RegistryDone done) override;
  void Submit(const rpc::MemberRequest& request, MemberDone done) override;
  [[nodiscard]] rpc::MembersView Members() const override;
  [[nodiscard]] bool is_ready_leader() const override {
    return machines_.transactions().is_ready();
  }
  [[nodiscard]] NodeId node() const override { return options_.self; }
  [[nodiscard]] ClusterId cluster() const override {
    return replica_->raft().cluster().Short();
  }
  [[nodiscard]] NodeId leader() const override { return replica_->raft().leader(); }
  [[nodiscard]] const Gtid& watermark() const override {
    return machines_.transactions().table().watermark();
  }
  [[nodiscard]] NodeView View() const override;
  [[nodiscard]] const std::map<NodeId, std::string>& client_addresses() const override {
    return addresses_.clients();
  }
  [[nodiscard]] std::vector<registry::ResourceView> Resources() const override;
  [[nodiscard]] std::vector<txn::TransactionView> List(const Gtid& after,
                                                       size_t limit) const override;
  [[nodiscard]] txn::TransactionView Show(const Gtid& gtid) const override;
  [[nodiscard]] std::vector<txn::HeuristicView> Heuristics(const BranchId& after,
                                                           size_t limit) const override;

  [[nodiscard]] const group::Replica& replica() const { return *replica_; }

 private:
  // The log as the replica sees it. What one iteration of the loop appends is flushed
  // after the iteration's messages were sent, so that followers write at the same time as
  // their leader.
  class WriterSink final : public storage::LogSink {
   public:
    explicit WriterSink(Node* node) : node_(node), writer_(node->writer_.get()) {}
    absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                    wal::Reserve use) override {
      node_->FlushAfterOutput();
      return writer_->Append(records, use);
    }
    void ReleaseBefore(wal::Lsn lsn) override { writer_->ReleaseBefore(lsn); }
    wal::Lsn durable_lsn() const override { return writer_->durable_lsn(); }
    bool HasSpace(wal::Reserve use) const override { return writer_->HasSpace(use); }

   private:
    Node* const node_;              // its owner
    wal::LogWriter* const writer_;  // the node's; outlives this
  };

  Node(rpc::EventLoop* loop, FileEnv* env, NodeOptions options);
  absl::Status OpenLog(FileEnv* env);
  absl::Status RecoverReplica(FileEnv* env);
  raft::Configuration FirstMembers() const;
  void Schedule();
  void FlushAfterOutput();
  void OnDurable(wal::Lsn lsn);
  void RunOnce();
  void HouseKeep();
  void RefreshAddresses();
  void LogClusterOnce();
  void FollowAddresses();
  void EnterMovedMembers();
  void LogRefusedMessage(NodeId from, const absl::Status& why);

  // The callers that wait for an answer of a state machine.
  template <class Reply>
  using Calls = absl::flat_hash_map<group::RequestToken, absl::AnyInvocable<void(Reply)>>;

  // These carry out what the state machines want.
  void SendToResource(const txn::Message& message);
  template <class Reply>
  void Answer(Calls<Reply>* calls, group::RequestToken token, Reply reply);
  void OnSnapshotSaved(const raft::SnapshotMeta& meta,
                       const absl::StatusOr<uint64_t>& bytes);
  void OnSnapshotRestored(const raft::SnapshotMeta& meta, const absl::Status& restored,
                          std::shared_ptr<group::SnapshotRestore> restore);
  // Runs `action` on the loop, unless the node has been destroyed by then. May be called
  // on any thread.
  void Post(rpc::Task action);

  // group::ReplicaEnvironment
  void SendToPeer(raft::Message message) override;
  void OnMachineOutput() override;
  void OnRaftState(const raft::SoftState& state) override;
  void OnMembers(const raft::Configuration& members) override;
  void OnRaftNotice(const raft::Notice& notice) override;
  void SaveSnapshot(const raft::SnapshotMeta& meta,
                    std::unique_ptr<group::SnapshotSource> source) override;
  void ReceiveSnapshot(raft::SnapshotWrite part) override;
  void DropReceivedSnapshot() override;
  void RestoreSnapshot(const raft::SnapshotMeta& meta,
                       std::unique_ptr<group::SnapshotRestore> restore) override;
  absl::StatusOr<std::string> ReadSnapshot(const raft::SnapshotMeta& meta,
                                           uint64_t offset, size_t max_bytes,
                                           bool* last) override;

  rpc::EventLoop* const loop_;  // outlives this
  NodeOptions options_;
  const Timestamp started_;  // when the node was opened
  NodeLog log_;              // what operators are told; not the log of records
  storage::SnapshotStore snapshots_;
  storage::RaftStore store_;
  machines::Machines machines_;
  AddressBook addresses_;
  PendingMembers pending_members_;
  std::unique_ptr<group::Replica> replica_;  // null until it is recovered
  // Both are null until Start, and outlive this.
  rpc::PeerSender* peers_ = nullptr;
  rpc::ResourceSender* resources_ = nullptr;
  bool addresses_known_ = false;     // resources_ has the addresses of the table
  std::set<std::string> addressed_;  // resources that resources_ has been told of
  bool cluster_logged_ = false;      // operators have been told the cluster's id
  bool scheduled_ = false;           // RunOnce is posted to the loop
  bool flush_scheduled_ = false;     // a flush follows this iteration's output
  // The loop's thread once it has flushed the log itself. Written by the loop, read by
  // the writer's thread too.
  std::atomic<std::thread::id> flushing_thread_{};
  rpc::TimerId tick_timer_;          // for the replica's next deadline
  rpc::TimerId housekeeping_timer_;  // about once a second
  uint64_t last_token_ = 0;          // the number of the last request
  // By member. Node 0 stands for all that are not members.
  std::map<NodeId, LogLimit> refused_messages_;
  LogLimit unread_snapshots_;  // for snapshots that cannot be read for a follower
  Calls<txn::Reply> waiting_;
  Calls<registry::Reply> registering_;
  Lifetime lifetime_;  // used by the threads below
  // These have threads, which end first, before the members above are destroyed.
  std::unique_ptr<SnapshotWorker> snapshot_worker_;
  std::unique_ptr<wal::LogWriter> writer_;
  std::unique_ptr<WriterSink> sink_;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_NODE_H_
