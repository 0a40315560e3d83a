// Scenario 42: a coordinator's disk is really full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/client/context.h"
#include "coordinator/client/wire_names.h"
#include "tests/process/cluster.h"
#include "tests/process/small_disk.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using client::CoordinatorLink;
using client::Outcome;
using ::testing::HasSubstr;

// Room for the log's reserve, which is taken when a node starts, and some more.
constexpr int kDiskMib = 128;

class DiskFull : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SmallDisk::Permitted()) {
      GTEST_SKIP() << "neither root nor a user namespace may mount a tmpfs here";
    }
    cluster_.emplace(ClusterOptions{.nodes = 1,
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
  wire::BeginReply Begin(int count) {
    return cluster_->Ask<wire::BeginReply>(
        1, [count](CoordinatorLink* link,
                   std::function<void(const wire::BeginReply&)> done) {
          wire::BeginRequest request;
          request.context = client::MakeContext();
          request.count = count;
          link->allocateGtids(std::move(done), request);
        });
  }
  // Each takes more than a KiB of the log.
  wire::OutcomeReply Rollback(const wire::Gtid& gtid) {
    return cluster_->Ask<wire::OutcomeReply>(
        1, [gtid](CoordinatorLink* link,
                  std::function<void(const wire::OutcomeReply&)> done) {
          wire::RollbackRequest request;
          request.context = client::MakeContext();
          request.gtid = gtid;
          request.__set_reason(std::string(1024, 'x'));
          link->rollback(std::move(done), request);
        });
  }
  wire::OutcomeReply Commit(const Gtid& gtid, const std::vector<BranchId>& branches) {
    wire::CommitRequest request;
    request.context = client::MakeContext();
    request.gtid = client::ToWire(gtid);
    request.mode = wire::CommitMode::DECIDED;
    request.timeout_ms = 10'000;
    for (const BranchId& branch : branches) {
      request.branches.push_back(client::ToWire(branch));
    }
    return cluster_->Ask<wire::OutcomeReply>(
        1, [request](CoordinatorLink* link,
                     std::function<void(const wire::OutcomeReply&)> done) {
          link->commit(std::move(done), request);
        });
  }
  // Fills the disk, and then what the log had preallocated for new work.
  void FillDiskAndLog(const SmallDisk& disk) {
    constexpr int kMost = 20'000;
    const wire::BeginReply gtids = Begin(kMost);
    ASSERT_EQ(gtids.result.code, wire::Code::OK);
    EXPECT_GT(disk.Fill(), 0u);
    wire::Gtid gtid = gtids.first;
    for (int i = 0; i < kMost && !cluster_->Status(1).disk_full; ++i, ++gtid.sequence) {
      ASSERT_EQ(Rollback(gtid).outcome, wire::Outcome::ABORTED);
    }
    ASSERT_TRUE(cluster_->Status(1).disk_full);
  }

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

}  // namespace
}  // namespace concordat::testing
