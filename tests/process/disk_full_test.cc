// Scenarios 42, 77 and 88: a coordinator's disk is really full. It is the disk of the
// only node, of a follower, or of the leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/client/context.h"
#include "tests/process/cluster.h"
#include "tests/process/small_disk.h"
#include "thrift/wire/conversion.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using client::CoordinatorLink;
using ::testing::HasSubstr;

// Room for the log's reserve, which is allocated when a node starts, and some more.
constexpr int kDiskMib = 128;

class DiskFull : public ::testing::Test {
 protected:
  explicit DiskFull(int nodes = 1) : nodes_(nodes) {}
  void SetUp() override {
    if (!SmallDisk::Permitted()) {
      GTEST_SKIP() << "neither root nor a user namespace may mount a tmpfs here";
    }
    cluster_.emplace(ClusterOptions{.nodes = nodes_,
                                    .in_doubt_inquiry_ms = 60'000,
                                    .segment_bytes = 1 << 20,
                                    .node_disk_mib = kDiskMib});
    client::ClientOptions options = cluster_->Options();
    options.commit_timeout = Duration::Seconds(120);
    auto client = client::Client::Connect(options);
    ASSERT_TRUE(client.ok());
    client_ = std::move(*client);
  }

  client::Transaction Worked(const std::string& from, const std::string& to) {
    auto transaction = client_->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status().message();
    const absl::Status worked = Cluster::Transfer(&*transaction, from, to, 5);
    EXPECT_TRUE(worked.ok()) << worked.message();
    return std::move(*transaction);
  }
  void HoldVotes(bool hold) {
    for (const char* bank : {"kv", "sql"}) cluster_->proxy(bank).HoldReplies(hold);
  }
  wire::BeginReply Begin(int count, int node = 1) {
    return cluster_->Ask<wire::BeginReply>(
        node, [count](CoordinatorLink* link,
                      std::function<void(const wire::BeginReply&)> done) {
          wire::BeginRequest request;
          request.context = MakeContext();
          request.count = count;
          link->allocateGtids(std::move(done), request);
        });
  }
  // Each takes more than a KiB of the log.
  wire::OutcomeReply Rollback(const wire::Gtid& gtid, int node = 1) {
    return cluster_->Ask<wire::OutcomeReply>(
        node, [gtid](CoordinatorLink* link,
                     std::function<void(const wire::OutcomeReply&)> done) {
          wire::RollbackRequest request;
          request.context = MakeContext();
          request.gtid = gtid;
          request.__set_reason(std::string(1024, 'x'));
          link->rollback(std::move(done), request);
        });
  }
  wire::OutcomeReply Commit(const Gtid& gtid, const std::vector<BranchId>& branches,
                            int node = 1) {
    wire::CommitRequest request;
    request.context = MakeContext();
    request.gtid = ToWire(gtid);
    request.mode = wire::CommitMode::DECIDED;
    request.timeout_ms = 10'000;
    for (const BranchId& branch : branches) {
      request.branches.push_back(ToWire(branch));
    }
    return cluster_->Ask<wire::OutcomeReply>(
        node, [request](CoordinatorLink* link,
                        std::function<void(const wire::OutcomeReply&)> done) {
          link->commit(std::move(done), request);
        });
  }
  // Fills the node's disk, and then what its log had preallocated for new work.
  void FillDiskAndLog(const SmallDisk& disk, int node = 1, int leader = 1) {
    constexpr int kMost = 10'000;
    const wire::BeginReply gtids = Begin(kMost, leader);
    ASSERT_EQ(gtids.result.code, wire::Code::OK);
    ASSERT_EQ(gtids.count, kMost);
    EXPECT_GT(disk.Fill(), 0u);
    wire::Gtid gtid = gtids.first;
    for (int i = 0; i < kMost && !cluster_->Status(node).disk_full;
         ++i, ++gtid.sequence) {
      const wire::OutcomeReply reply = Rollback(gtid, leader);
      if (reply.result.code == wire::Code::OVERLOADED) break;
      ASSERT_EQ(reply.outcome, wire::Outcome::ABORTED);
    }
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return cluster_->Status(node).disk_full; }));
  }

  const int nodes_;
  std::optional<Cluster> cluster_;
  std::unique_ptr<client::Client> client_;
};

TEST_F(DiskFull, Scenario42_NewWorkIsRefusedWhatIsPromisedIsDoneAndSpaceHeals) {
  const SmallDisk disk(cluster_->node(1).pid(), cluster_->NodeDir(1));
  auto promised = Worked("alice", "bob");
  auto late = Worked("carol", "dave");
  const auto late_branches = client::ParseContext(late.CarryBack());
  ASSERT_TRUE(late_branches.ok());
  const Gtid gtid = promised.gtid();
  HoldVotes(true);
  auto result = std::async(std::launch::async, [&promised] { return promised.Commit(); });
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return cluster_->Show(gtid).state == "preparing" &&
           cluster_->proxy("kv").HeldReplyBytes() > 0 &&
           cluster_->proxy("sql").HeldReplyBytes() > 0;
  }));
  ASSERT_NO_FATAL_FAILURE(FillDiskAndLog(disk));

  const wire::BeginReply begun = Begin(1);
  EXPECT_EQ(begun.result.code, wire::Code::OVERLOADED);
  EXPECT_THAT(begun.result.message, HasSubstr("disk is full"));
  EXPECT_EQ(Commit(late.gtid(), late_branches->branches).result.code,
            wire::Code::OVERLOADED);
  EXPECT_NE(cluster_->Show(late.gtid()).state, "preparing") << "promised without room";
  // Scenario 88: this may not use the reserve either, which is for what was promised.
  const wire::Result rollback = Rollback(ToWire(late.gtid())).result;
  EXPECT_EQ(rollback.code, wire::Code::OVERLOADED) << rollback.message;

  HoldVotes(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  EXPECT_TRUE(cluster_->WaitUntilSettled());
  EXPECT_TRUE(cluster_->Status(1).disk_full);

  disk.MakeRoom();
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return !cluster_->Status(1).disk_full; }));
  const CommitResult healed = late.Commit();
  EXPECT_EQ(healed.outcome, Outcome::kCommitted) << healed;
  EXPECT_TRUE(cluster_->WaitUntilSettled());
  EXPECT_EQ(cluster_->KvBalance("alice"), -5);
  EXPECT_EQ(cluster_->SqlBalance("bob"), 5);
  EXPECT_EQ(cluster_->KvBalance("carol"), -5);
  EXPECT_EQ(cluster_->SqlBalance("dave"), 5);
}

class DiskFullOfOneInThree : public DiskFull {
 protected:
  DiskFullOfOneInThree() : DiskFull(3) {}
};

TEST_F(DiskFullOfOneInThree, Scenario77_FollowerSendsItsCallersOn_AndTheClusterServes) {
  const int leader = cluster_->Leader();
  const int follower = leader == 1 ? 2 : 1;
  const SmallDisk disk(cluster_->node(follower).pid(), cluster_->NodeDir(follower));
  ASSERT_NO_FATAL_FAILURE(FillDiskAndLog(disk, follower, leader));
  ASSERT_EQ(cluster_->Leader(), leader);
  auto transaction = Worked("alice", "bob");
  const auto branches = client::ParseContext(transaction.CarryBack());
  ASSERT_TRUE(branches.ok());

  const wire::BeginReply begun = Begin(1, follower);
  EXPECT_EQ(begun.result.code, wire::Code::NOT_LEADER) << begun.result.message;
  EXPECT_FALSE(begun.result.leader_hint.empty());
  const wire::Result refused =
      Commit(transaction.gtid(), branches->branches, follower).result;
  EXPECT_EQ(refused.code, wire::Code::NOT_LEADER) << refused.message;
  EXPECT_EQ(transaction.Commit().outcome, Outcome::kCommitted);

  // A client that knows only this node goes on to the leader.
  client::ClientOptions options = cluster_->Options();
  options.coordinators = {
      cluster_->client_addresses()[static_cast<size_t>(follower) - 1]};
  auto newcomer = client::Client::Connect(options);
  ASSERT_TRUE(newcomer.ok());
  const CommitResult moved = (*newcomer)->Run(
      [](client::Transaction& t) { return Cluster::Transfer(&t, "carol", "dave", 5); });
  EXPECT_EQ(moved.outcome, Outcome::kCommitted) << moved;
  EXPECT_TRUE(cluster_->Status(follower).disk_full);

  disk.MakeRoom();
  EXPECT_TRUE(cluster_->WaitUntilSettled());
  EXPECT_EQ(cluster_->KvBalance("carol"), -5);
  EXPECT_EQ(cluster_->SqlBalance("dave"), 5);
}

// Commits transfers from alice to bob, one after another, until it is stopped.
class Load {
 public:
  explicit Load(std::unique_ptr<client::Client> client)
      : client_(std::move(client)), thread_([this] { Run(); }) {}
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int committed() const { return committed_; }
  int unknown() const { return unknown_; }

 private:
  void Run() {
    while (!stop_) {
      const CommitResult result = client_->Run([](client::Transaction& t) {
        return Cluster::Transfer(&t, "alice", "bob", 1);
      });
      if (result.outcome == Outcome::kCommitted) ++committed_;
      if (result.outcome == Outcome::kUnknown) ++unknown_;
    }
  }
  std::unique_ptr<client::Client> client_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> committed_ = 0;
  std::atomic<int> unknown_ = 0;
  std::thread thread_;
};

TEST_F(DiskFullOfOneInThree, Scenario88_LeadersDiskFills_ItHandsOverAndFollowsAgain) {
  const int full = cluster_->Leader();
  const SmallDisk disk(cluster_->node(full).pid(), cluster_->NodeDir(full));
  const wire::BeginReply gtids = Begin(10'000, full);
  ASSERT_EQ(gtids.result.code, wire::Code::OK);
  Load load(cluster_->NewClient());
  EXPECT_GT(disk.Fill(), 0u);
  wire::Gtid gtid = gtids.first;
  for (int i = 0; i < gtids.count && !cluster_->Status(full).disk_full; ++i) {
    (void)Rollback(gtid, full);
    ++gtid.sequence;
  }
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return cluster_->Leader() != full; }));
  EXPECT_TRUE(cluster_->node(full).WaitForLine("handing leadership over", kPatience));

  const int before = load.committed();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return load.committed() >= before + 20; }));
  const wire::StatusReply waiting = cluster_->Status(full);
  EXPECT_EQ(waiting.result.code, wire::Code::OK) << "it lives";
  EXPECT_TRUE(waiting.disk_full);

  disk.MakeRoom();
  const int leader = cluster_->Leader();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !cluster_->Status(full).disk_full; }));
  const auto reached = cluster_->Status(leader).applied_index;
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    return cluster_->Status(full).applied_index >= reached;
  })) << "it follows again";
  load.Stop();
  EXPECT_EQ(load.unknown(), 0);
  EXPECT_TRUE(cluster_->WaitUntilSettled());
  EXPECT_EQ(cluster_->KvBalance("alice"), -load.committed());
  EXPECT_EQ(cluster_->SqlBalance("bob"), load.committed());
}

}  // namespace
}  // namespace concordat::testing
