// Full disks, failed writes and flushes; and promises come after flushes.
#include <csignal>
#include <thread>

#include "coordinator/base/check.h"
#include "tests/unit/sqlite/fault_vfs.h"
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class DiskTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    options_.vfs = FaultVfs::kName;
    FaultVfs::Get().Heal();
    Open(kAccounts);
  }
  void TearDown() override { FaultVfs::Get().Heal(); }
  BranchId Debit(int row) {
    const BranchId id = Begin();
    Run(id, "UPDATE account SET balance=balance-1 WHERE id=?", {Int(row)});
    return id;
  }
};

TEST_F(DiskTest, Rule10_VoteAndAcknowledgementFollowTheirFlush) {
  FaultVfs& vfs = FaultVfs::Get();
  const BranchId id = Debit(1);
  int64_t before = vfs.flushes();
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_GT(vfs.flushes(), before);
  before = vfs.flushes();
  ASSERT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_GT(vfs.flushes(), before);
  const BranchId alone = Debit(1);
  before = vfs.flushes();
  ASSERT_EQ(call_->CommitOnePhase(alone).outcome, OnePhase::kCommitted);
  EXPECT_GT(vfs.flushes(), before);
}

TEST_F(DiskTest, Scenario42_DiskFull_RefusesNewWorkKeepsPromisesAndRecovers) {
  const BranchId promised = Debit(1);
  ASSERT_EQ(call_->Prepare(promised).vote, Vote::kPrepared);
  const BranchId fresh = Debit(2);
  const BranchId alone = Debit(3);
  FaultVfs::Get().FailWrites(SQLITE_FULL);
  EXPECT_EQ(call_->Prepare(fresh).vote, Vote::kRefused);
  EXPECT_EQ(rm_->Start(MakeBranch(1), {}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(call_->CommitOnePhase(alone).outcome, OnePhase::kRefused);
  EXPECT_EQ(call_->Commit(promised).state, FinishState::kRetry);
  EXPECT_EQ(call_->LookUp(promised), Evidence::kPrepared);
  FaultVfs::Get().Heal();
  EXPECT_EQ(call_->Commit(promised).state, FinishState::kDone);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  Commit("UPDATE account SET balance=7 WHERE id=2");
  EXPECT_EQ(Query("SELECT * FROM account"), "1,99|2,7|3,300");
  EXPECT_EQ(Query("PRAGMA integrity_check"), "ok");
}

TEST_F(DiskTest, DiskFullAtPrepare_AfterRestart_NothingIsThere) {
  const BranchId id = Debit(1);
  FaultVfs::Get().FailWrites(SQLITE_FULL);
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kRefused);
  FaultVfs::Get().Heal();
  EXPECT_TRUE(Reopen().empty());
  EXPECT_EQ(call_->LookUp(id), Evidence::kNone);
}

// Runs `then` with a fault in place, in a process of its own. The process must end with
// the exit status of FatalIoError.
class FatalTest : public SqliteFixture {};

TEST_F(FatalTest, Scenario41_FlushThatFails_EndsTheProcess) {
  for (const bool one_phase : {false, true}) {
    path_ = folder_.File(one_phase ? "one" : "two");
    EXPECT_EXIT(
        {
          options_.vfs = FaultVfs::kName;
          FaultVfs::Get();
          Open(kAccounts);
          const BranchId id = Begin();
          Run(id, "UPDATE account SET balance=0 WHERE id=1");
          FaultVfs::Get().FailFlushes(SQLITE_IOERR_FSYNC);
          if (one_phase) {
            (void)call_->CommitOnePhase(id);
          } else {
            (void)call_->Prepare(id);
          }
          _exit(0);
        },
        ::testing::ExitedWithCode(kExitStorageFailed), "writing the SQLite file");
  }
}

TEST_F(FatalTest, Scenario41_WriteThatFails_EndsTheProcess) {
  EXPECT_EXIT(
      {
        options_.vfs = FaultVfs::kName;
        FaultVfs::Get();
        Open(kAccounts);
        const BranchId id = Begin();
        Run(id, "UPDATE account SET balance=0 WHERE id=1");
        FaultVfs::Get().FailWrites(SQLITE_IOERR_WRITE);
        (void)call_->Prepare(id);
        _exit(0);
      },
      ::testing::ExitedWithCode(kExitStorageFailed), "disk I/O error");
}

}  // namespace
}  // namespace concordat::participant
