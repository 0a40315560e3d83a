// Each verb of the interface, in the orders in which it may come.
#include <thread>

#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class VerbTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    Open(kAccounts);
  }
  BranchId Debit(int64_t amount = 30) {
    const BranchId id = Begin();
    Run(id, "UPDATE account SET balance=balance-? WHERE id=1", {Int(amount)});
    return id;
  }
  std::string Balance() { return Query("SELECT balance FROM account WHERE id=1"); }
};

TEST_F(VerbTest, Commit_AfterPrepare_ChangesTheFileOnlyThen) {
  const BranchId id = Debit();
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(call_->LookUp(id), Evidence::kPrepared);
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "70");
  EXPECT_EQ(call_->LookUp(id), Evidence::kCommitted);
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
}

TEST_F(VerbTest, Rollback_OfActiveBranch_LeavesNothing) {
  const BranchId id = Debit();
  EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(Try(id, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kRefused);
  EXPECT_EQ(call_->LookUp(id), Evidence::kNone);
}

TEST_F(VerbTest, Rollback_OfPreparedBranch_LeavesNothingAndFreesItsLocks) {
  const BranchId id = Debit();
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
  EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
  Commit("UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Balance(), "1");
}

TEST_F(VerbTest, Scenario14_PrepareTwice_SameVoteNothingTwice) {
  const BranchId id = Debit();
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "1");
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "70");
}

TEST_F(VerbTest, Scenario15_VoteLostAndRestarted_PreparedAgain) {
  const BranchId id = Debit();
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Reopen(), std::vector<BranchId>{id});
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "70");
}

TEST_F(VerbTest, Scenario16_CommitTwice_DoneTwiceAppliedOnce) {
  const BranchId id = Debit();
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  Reopen();
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "70");
}

TEST_F(VerbTest, Scenario22_RollbackBehindOnePhaseCommit_IsToldOfTheCommit) {
  const BranchId id = Debit();
  EXPECT_EQ(call_->CommitOnePhase(id).outcome, OnePhase::kCommitted);
  EXPECT_EQ(call_->Rollback(id).state, FinishState::kHeuristicCommit);
  EXPECT_EQ(call_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_EQ(Balance(), "70");
}

TEST_F(VerbTest, Scenario26_CommitOfAnUnknownBranch_IsAnAlarmNotADone) {
  EXPECT_EQ(call_->Commit(MakeBranch(4711)).state, FinishState::kHeuristicHazard);
}

TEST_F(VerbTest, Scenario35_OnePhaseAnswerLost_EvidenceTellsTheTruth) {
  const BranchId committed = Debit();
  ASSERT_EQ(call_->CommitOnePhase(committed).outcome, OnePhase::kCommitted);
  EXPECT_EQ(call_->CommitOnePhase(committed).outcome, OnePhase::kUnknown);
  const BranchId never = Debit();
  Reopen();
  EXPECT_EQ(call_->LookUp(committed), Evidence::kCommittedAlone);
  EXPECT_EQ(call_->LookUp(never), Evidence::kNone);
}

TEST_F(VerbTest, Scenario68_BeforeRecover_NothingIsRefusedForGood) {
  rm_ = std::make_unique<SqliteResourceManager>(path_ + "2", options_);
  Caller early(rm_.get());
  EXPECT_EQ(early.Prepare(MakeBranch(1)).vote, Vote::kUnavailable);
  EXPECT_EQ(early.Commit(MakeBranch(1)).state, FinishState::kRetry);
  EXPECT_EQ(early.Rollback(MakeBranch(1)).state, FinishState::kRetry);
  EXPECT_EQ(early.LookUp(MakeBranch(1)), Evidence::kUnknown);
  EXPECT_EQ(early.CommitOnePhase(MakeBranch(1)).outcome, OnePhase::kUnknown);
  EXPECT_EQ(rm_->Start(MakeBranch(1), {}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(VerbTest, Scenario70_BranchThatOnlyRead_VotesReadOnlyAndWritesNothing) {
  const std::string before = Query("SELECT count(*) FROM concordat_evidence");
  const BranchId id = Begin();
  Run(id, "SELECT * FROM account");
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kReadOnly);
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_evidence"), before);
}

TEST_F(VerbTest, Prepare_UpdateThatFindsNoRow_VotesReadOnly) {
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=0 WHERE id=99");
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kReadOnly);
}

TEST_F(VerbTest, Scenario74_OnePhaseCommit_IsKnownAsCommittedAlone) {
  const BranchId id = Debit();
  ASSERT_EQ(call_->CommitOnePhase(id).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "70");
  Reopen();
  EXPECT_EQ(call_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kRefused);
}

TEST_F(VerbTest, OnePhaseCommit_OfABranchThatOnlyRead_LeavesEvidenceToo) {
  const BranchId id = Begin();
  Run(id, "SELECT * FROM account");
  EXPECT_EQ(call_->CommitOnePhase(id).outcome, OnePhase::kCommitted);
  EXPECT_EQ(call_->LookUp(id), Evidence::kCommittedAlone);
}

TEST_F(VerbTest, Execute_SecondCall_SeesTheFirstOnesChanges) {
  const BranchId a = Begin();
  Run(a, "UPDATE account SET balance=balance-10 WHERE id=1");
  const BranchId b = Begin();
  Run(b, "UPDATE account SET balance=balance-1 WHERE id=2");
  Run(a, "INSERT INTO account VALUES(9, 1)");
  EXPECT_EQ(Run(a, "SELECT sum(balance) FROM account")[0].rows[0].values[0].integer, 591);
  EXPECT_EQ(Run(b, "SELECT sum(balance) FROM account")[0].rows[0].values[0].integer, 599);
  Run(a, "UPDATE account SET balance=balance-10 WHERE id=1");
  Run(a, "DELETE FROM account WHERE id=9");
  EXPECT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Prepare(b).vote, Vote::kPrepared);
  EXPECT_EQ(call_->Commit(b).state, FinishState::kDone);
  EXPECT_EQ(call_->Commit(a).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT id,balance FROM account"), "1,80|2,199|3,300");
}

TEST_F(VerbTest, ForgetBelow_DropsOldEvidenceOfThatGroupOnly) {
  std::vector<BranchId> done;
  for (int i = 0; i < 300; ++i) {
    done.push_back(Debit(0));
    ASSERT_EQ(call_->CommitOnePhase(done.back()).outcome, OnePhase::kCommitted);
  }
  rm_->ForgetBelow(Gtid{GroupId(2), Term(9), 9});
  rm_->ForgetBelow(done[250].gtid);
  for (int i = 0; i < 1000 && call_->LookUp(done[249]) != Evidence::kNone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(call_->LookUp(done[0]), Evidence::kNone);
  EXPECT_EQ(call_->LookUp(done[249]), Evidence::kNone);
  EXPECT_EQ(call_->LookUp(done[250]), Evidence::kCommittedAlone);
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_evidence"), "50");
}

TEST_F(VerbTest, Close_WithOpenBranches_KeepsPreparedOnesOnly) {
  const BranchId prepared = Debit();
  ASSERT_EQ(call_->Prepare(prepared).vote, Vote::kPrepared);
  const BranchId active = Begin();
  Run(active, "UPDATE account SET balance=0 WHERE id=2");
  PendingCall waiting =
      call_->Send(Begin(), {Sql("UPDATE account SET balance=0 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  rm_->Close();
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(call_->Prepare(active).vote, Vote::kUnavailable);
  EXPECT_EQ(Reopen(), std::vector<BranchId>{prepared});
  EXPECT_EQ(call_->LookUp(active), Evidence::kNone);
}

TEST_F(VerbTest, Start_TooManyBranches_IsRefusedUntilOneEnds) {
  rm_.reset();
  options_.max_branches = 2;
  Open();
  const BranchId a = Begin();
  Begin();
  EXPECT_EQ(rm_->Start(MakeBranch(5), {}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(call_->Rollback(a).state, FinishState::kDone);
  EXPECT_TRUE(rm_->Start(MakeBranch(6), {}).ok());
}

TEST_F(VerbTest, Start_UnknownIsolation_IsRefused) {
  StartOptions options;
  options.isolation = "chaos";
  EXPECT_EQ(rm_->Start(MakeBranch(5), options).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(VerbTest, Prepare_AndRollbackInOneRound_EndWithNothing) {
  for (int i = 0; i < 50; ++i) {
    const BranchId id = Debit();
    std::promise<Vote> vote;
    rm_->Prepare(id, [&vote](PrepareResult r) { vote.set_value(r.vote); });
    EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
    const Vote given = vote.get_future().get();
    EXPECT_TRUE(given == Vote::kPrepared || given == Vote::kRefused);
  }
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
}

TEST_F(VerbTest, Commit_RowChangedByAnotherProgram_IsAnAlarmThatKeepsTheBranch) {
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=balance-30 WHERE id=2");
  Run(id, "UPDATE account SET balance=balance+30 WHERE id=1");
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  Query("UPDATE account SET balance=55 WHERE id=1");
  const FinishResult r = call_->Commit(id);
  EXPECT_EQ(r.state, FinishState::kRetry);
  EXPECT_NE(r.detail.find("account is not as the branch left it"), std::string::npos)
      << r.detail;
  EXPECT_EQ(Query("SELECT id,balance FROM account"), "1,55|2,200|3,300");
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "1");
  // When the row is corrected by hand, the commit succeeds.
  Query("UPDATE account SET balance=100 WHERE id=1");
  EXPECT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT id,balance FROM account"), "1,130|2,170|3,300");
}

}  // namespace
}  // namespace concordat::participant
