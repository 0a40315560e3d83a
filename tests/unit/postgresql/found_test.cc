// Branches are found in the database after the start: which of them are reported, and
// which are known to this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

class FoundTest : public PostgresqlTest {
 protected:
  FoundTest() {
    on_found_ = [this](std::vector<FoundBranch> found) {
      MutexLock lock(&mutex_);
      for (FoundBranch& item : found) found_.push_back(std::move(item));
    };
  }
  // The test's database is scanned all the time.
  void OpenLooking() {
    DatabaseOptions options = Options();
    options.scan_interval = Duration::Millis(1);
    Open(std::move(options));
  }
  // Prepares a branch as a late backend of an earlier incarnation would.
  void PrepareByHand(const BranchId& branch, int account) {
    Sql(absl::StrCat("BEGIN; UPDATE account SET balance=balance+1 WHERE id=", account,
                     "; PREPARE TRANSACTION '", Gid(branch), "'"));
  }
  std::vector<BranchId> Found() {
    MutexLock lock(&mutex_);
    std::vector<BranchId> branches;
    for (const FoundBranch& item : found_) branches.push_back(item.branch);
    return branches;
  }
  BranchId OfEarlierIncarnation(uint64_t number) {
    return {{GroupId(1), Term(7), 1000 + number}, kResource, Incarnation(0x77), number};
  }

  Mutex mutex_;
  std::vector<FoundBranch> found_;
};

TEST_F(FoundTest, OrphansOfThisResource_AreReportedOnce_WithTheirAge) {
  const BranchId recovered = OfEarlierIncarnation(1);
  const BranchId late = OfEarlierIncarnation(2);
  PrepareByHand(recovered, 1);
  OpenLooking();
  EXPECT_EQ(recovered_, std::vector<BranchId>{recovered});
  PrepareByHand(late, 2);
  EXPECT_TRUE(Eventually([&] { return !Found().empty(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(Found(), std::vector<BranchId>{late});
  EXPECT_LT(found_[0].prepared_for, Duration::Seconds(5));
  EXPECT_EQ(Commit(late).state, FinishState::kDone);
  EXPECT_EQ(Rollback(recovered).state, FinishState::kDone);
}

TEST_F(FoundTest, BranchesAtWork_AreNeverReported_HoweverTheyCrossALook) {
  OpenLooking();
  for (int i = 0; i < 300; ++i) {
    const BranchId branch = BeginAndPrepare("UPDATE account SET balance=7 WHERE id=1");
    if (i % 3 == 0) {
      EXPECT_EQ(LookUp(branch), Evidence::kPrepared);
    }
    EXPECT_EQ((i % 2 == 0 ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
  }
  EXPECT_THAT(Found(), ::testing::IsEmpty());
}

// The scan takes 50 ms after it has read the list. The branches end in that time.
TEST_F(FoundTest, BranchThatEndsDuringALook_IsNoOrphan) {
  Sql("CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(0.05); RETURN pg_catalog.clock_timestamp(); END'");
  Sql("ALTER DATABASE " + Database() + " SET search_path=public,pg_catalog");
  OpenLooking();
  for (int i = 0; i < 20; ++i) {
    const BranchId branch = BeginAndPrepare("UPDATE account SET balance=7 WHERE id=1");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ((i % 2 == 0 ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
  }
  EXPECT_THAT(Found(), ::testing::IsEmpty());
  const BranchId late = OfEarlierIncarnation(1);
  PrepareByHand(late, 2);
  EXPECT_TRUE(Eventually([&] { return Found() == std::vector<BranchId>{late}; }));
  EXPECT_EQ(Rollback(late).state, FinishState::kDone);
}

TEST_F(FoundTest, BranchThatWasLookedUp_IsNoOrphan) {
  Open();
  const BranchId late = OfEarlierIncarnation(1);
  PrepareByHand(late, 1);
  EXPECT_EQ(LookUp(late), Evidence::kPrepared);
  Close();
  OpenLooking();
  EXPECT_EQ(LookUp(late), Evidence::kPrepared);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(Found(), ::testing::IsEmpty());
  EXPECT_EQ(Rollback(late).state, FinishState::kDone);
}

TEST_F(FoundTest, OthersBranches_AreNotReported) {
  OpenLooking();
  BranchId other_resource = OfEarlierIncarnation(1);
  other_resource.resource = "bank-b";
  expected_left_ = {"a-person", Gid(other_resource),
                    XidText(MakeXid(ClusterId(99), OfEarlierIncarnation(2)))};
  for (size_t i = 0; i < expected_left_.size(); ++i) {
    Sql(absl::StrCat("BEGIN; UPDATE account SET balance=1 WHERE id=", i + 1,
                     "; PREPARE TRANSACTION '", expected_left_[i], "'"));
  }
  EXPECT_TRUE(Eventually([&] { return manager().Stats().prepared_by_others == 3; }));
  EXPECT_THAT(Found(), ::testing::IsEmpty());
}

TEST_F(FoundTest, ProcessThatWasReplaced_ReportsNothing) {
  OpenLooking();
  const auto next = MakePostgresql(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  next->Recover(kCluster, done.callback());
  ASSERT_TRUE(done.Get().ok());
  EXPECT_TRUE(Eventually([&] { return !manager().Start(NextBranch(), {}).ok(); }));
  PrepareByHand(OfEarlierIncarnation(1), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_THAT(Found(), ::testing::IsEmpty());
  Later<FinishResult> ended;
  next->Rollback(OfEarlierIncarnation(1), ended.callback());
  EXPECT_EQ(ended.Get().state, FinishState::kDone);
}

}  // namespace
}  // namespace concordat::participant
