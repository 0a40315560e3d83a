// Calls of a switch that do not return: callers get an answer, nothing is given up, and
// the late result counts.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "coordinator/base/check.h"
#include "tests/unit/xa/fixture.h"

namespace concordat::participant::xa {
namespace {

template <class Function>
Function* Symbol(const char* name) {
  void* library = dlopen(XA_SQLITE_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  CONCORDAT_CHECK(library != nullptr) << dlerror();
  return reinterpret_cast<Function*>(dlsym(library, name));
}

class XaHangTest : public XaFixture {
 protected:
  XaHangTest() {
    // This is long for a call that only flushes, even on a busy machine.
    options_.hang_after = Duration::Seconds(1);
    // So that a second call finds no other thread.
    options_.settle_threads = 1;
  }
  ~XaHangTest() override { Release(); }

  static void Hang(const char* call, bool after) {
    Symbol<void(const char*, int)>("sqlite_switch_hang")(call, after ? 1 : 0);
  }
  static void Release() { Hang("", false); }
  static void Plan(const char* call, int code, bool after) {
    Symbol<void(const char*, int, int)>("sqlite_switch_plan")(call, code, after ? 1 : 0);
  }
  void ReleaseAndWait() {
    Release();
    EXPECT_TRUE(
        testing::WaitUntil(10, [this] { return manager_->Stats().hanging_calls == 0; }));
  }
  // Repeats COMMIT as the coordinator does, until the result is final.
  FinishState CommitUntilDone(const BranchId& branch) {
    FinishState finish = FinishState::kRetry;
    (void)testing::WaitUntil(10, [&] {
      finish = Commit(branch);
      return finish != FinishState::kRetry;
    });
    return finish;
  }
};

TEST_F(XaHangTest, Prepare_IsUnavailableAndThenWhatCameBack) {
  for (const bool after : {false, true}) {
    ASSERT_TRUE(Open().ok());
    const BranchId branch = Begin(after ? 2 : 1, "add a 5", after ? 2 : 1);
    Hang("xa_prepare", after);
    EXPECT_EQ(Prepare(branch), Vote::kUnavailable);
    EXPECT_EQ(manager_->Stats().hung_calls, 1u);
    EXPECT_EQ(manager_->Stats().hanging_calls, 1u);
    EXPECT_EQ(Prepare(branch), Vote::kUnavailable) << "it hangs still: answered at once";
    ReleaseAndWait();
    EXPECT_EQ(Prepare(branch), Vote::kPrepared);
    EXPECT_EQ(Commit(branch), FinishState::kDone);
    EXPECT_EQ(manager_->Stats().hung_calls, 1u);
  }
  EXPECT_EQ(Read("get a"), "10");
}

TEST_F(XaHangTest, Prepare_ThatComesBackRefused_IsRefused) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Plan("xa_prepare", XA_RBINTEGRITY, false);
  Hang("xa_prepare", false);
  EXPECT_EQ(Prepare(branch), Vote::kUnavailable);
  ReleaseAndWait();
  EXPECT_EQ(Prepare(branch), Vote::kRefused);
  EXPECT_EQ(Read("get a"), "0");
}

TEST_F(XaHangTest, Prepare_AbortedMeanwhile_IsRolledBackWhenItComesBack) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  Hang("xa_prepare", true);
  EXPECT_EQ(Prepare(branch), Vote::kUnavailable);
  EXPECT_EQ(Rollback(branch), FinishState::kRetry) << "it may be prepared in a moment";
  ReleaseAndWait();
  EXPECT_EQ(Rollback(branch), FinishState::kDone);
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  const auto prepared = Open();
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_TRUE(prepared->empty());
}

TEST_F(XaHangTest, Commit_IsToBeRepeatedAndIsDoneOnce) {
  for (const bool after : {false, true}) {
    ASSERT_TRUE(Open().ok());
    const BranchId branch = Begin(after ? 2 : 1, "add a 5", after ? 2 : 1);
    ASSERT_EQ(Prepare(branch), Vote::kPrepared);
    Hang("xa_commit", after);
    EXPECT_EQ(Commit(branch), FinishState::kRetry);
    EXPECT_EQ(Commit(branch), FinishState::kRetry);
    EXPECT_EQ(LookUp(branch), Evidence::kUnknown);
    ReleaseAndWait();
    EXPECT_EQ(CommitUntilDone(branch), FinishState::kDone);
    EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
  }
  EXPECT_EQ(Read("get a"), "10");
}

// XAER_RMERR of xa_commit means "the branch's work has been rolled back". A second
// xa_commit would return XAER_NOTA, which is taken for committed.
TEST_F(XaHangTest, Commit_ThatComesBackRolledBack_IsToldAtTheNextRequest) {
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  ASSERT_EQ(Prepare(branch), Vote::kPrepared);
  Plan("xa_commit", XAER_RMERR, false);
  Hang("xa_commit", false);
  EXPECT_EQ(Commit(branch), FinishState::kRetry);
  ReleaseAndWait();
  EXPECT_EQ(CommitUntilDone(branch), FinishState::kHeuristicRollback);
}

TEST_F(XaHangTest, OtherBranches_AreSettledOnTheOtherThread) {
  options_.settle_threads = 2;
  ASSERT_TRUE(Open().ok());
  const BranchId hanging = Begin(1, "add a 5");
  const BranchId other = Begin(2, "add b 5");
  ASSERT_EQ(Prepare(hanging), Vote::kPrepared);
  ASSERT_EQ(Prepare(other), Vote::kPrepared);
  Hang("xa_commit", false);
  EXPECT_EQ(Commit(hanging), FinishState::kRetry);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(LookUp(other), Evidence::kPrepared);
  EXPECT_EQ(Rollback(other), FinishState::kDone);
  EXPECT_EQ(manager_->Stats().hanging_calls, 1u);
  ReleaseAndWait();
  EXPECT_EQ(CommitUntilDone(hanging), FinishState::kDone);
}

TEST_F(XaHangTest, QuickCalls_AreNotCounted) {
  options_.hang_after = Duration::Seconds(600);
  ASSERT_TRUE(Open().ok());
  const BranchId branch = Begin(1, "add a 5");
  ASSERT_EQ(Prepare(branch), Vote::kPrepared);
  ASSERT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(manager_->Stats().hung_calls, 0u);
}

}  // namespace
}  // namespace concordat::participant::xa
