// Branches that an application prepares itself: the table gives them an id, keeps nothing
// of them, and leaves them alone until their grace period has ended.
#include "participant/sdk/core/branch_number.h"
#include "tests/unit/sdk/branch_fixture.h"

namespace concordat::participant {
namespace {

class ApplicationManagedTest : public BranchTableTest {
 protected:
  BranchId StartApplicationManaged(Duration grace_period = Duration::Seconds(20)) {
    const StartResult result = table_->StartApplicationManaged(MakeGtid(9), grace_period);
    EXPECT_EQ(result.refusal, StartRefusal::kNone);
    return result.branch;
  }
  static BranchId ManagedOfEarlierIncarnation(Duration grace_period) {
    return BranchId{MakeGtid(3), "bank-a", kEarlierIncarnation,
                    ApplicationManagedNumber(5, grace_period)};
  }
};

TEST(BranchNumberTest, SaysWhoseItIsAndForHowLong) {
  const uint64_t own = ApplicationManagedNumber(7, Duration::Millis(2001));
  EXPECT_TRUE(IsApplicationManaged(own));
  EXPECT_EQ(CountOf(own), 7u);
  EXPECT_EQ(GracePeriodOf(own), Duration::Seconds(3));
  EXPECT_EQ(GraceLeft(own, Duration::Seconds(1)), Duration::Seconds(2));
  EXPECT_EQ(GraceLeft(own, Duration::Seconds(9)), Duration());
  EXPECT_EQ(GracePeriodOf(ApplicationManagedNumber(1, Duration())), kMinGracePeriod);
  const uint64_t most =
      ApplicationManagedNumber(kMaxApplicationManagedCount, Duration::Seconds(1'000'000));
  EXPECT_EQ(GracePeriodOf(most), kMaxGracePeriod);
  EXPECT_EQ(CountOf(most), kMaxApplicationManagedCount);
  EXPECT_LT(most, uint64_t{1} << 63);  // it is signed on the wire
  EXPECT_FALSE(IsApplicationManaged(7));
  EXPECT_EQ(CountOf(7), 7u);
  EXPECT_EQ(GracePeriodOf(7), Duration());
}

TEST(BranchNumberTest, LongestName_FitsIntoPostgresqlsGid) {
  const BranchId branch{
      {GroupId(0xFFFFFFFF), Term(~uint64_t{0} >> 1), ~uint64_t{0} >> 1},
      std::string(kMaxResourceNameLength, 'r'),
      Incarnation(~uint64_t{0} >> 1),
      ApplicationManagedNumber(kMaxApplicationManagedCount, kMaxGracePeriod)};
  const Xid xid = MakeXid(ClusterId(~uint64_t{0}), branch);
  EXPECT_LE(XidText(xid).size(), 199u);
  EXPECT_LE(xid.bqual.size(), Xid::kMaxPartLength);
  const auto parsed = ParseXidText(XidText(xid));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->branch, branch);
}

TEST_F(ApplicationManagedTest, Rule10_NamesAreNeverGivenTwice_AndNothingIsKept) {
  Recover();
  const BranchId first = StartApplicationManaged();
  const BranchId second = Start();
  const BranchId third = StartApplicationManaged();
  EXPECT_EQ(CountOf(first.number), 1u);
  EXPECT_EQ(second.number, 2u);
  EXPECT_EQ(CountOf(third.number), 3u);
  EXPECT_EQ(table_->Stats(now_).held, 1u);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(ApplicationManagedTest, Start_IsRefusedLikeAnyOther) {
  EXPECT_EQ(table_->StartApplicationManaged(MakeGtid(9), Duration::Seconds(1)).refusal,
            StartRefusal::kUnavailable);
  Recover();
  table_->OnWatermark(MakeGtid(10));
  EXPECT_EQ(table_->StartApplicationManaged(MakeGtid(9), Duration::Seconds(1)).refusal,
            StartRefusal::kTooOld);
}

TEST_F(ApplicationManagedTest, Prepare_OfOneThatIsThere_VotesYesAndCommits) {
  Recover();
  const BranchId id = StartApplicationManaged();
  const RequestToken vote = Prepare(id);
  EXPECT_EQ(TakeCommands(), std::vector{CommandKind::kLookUp});
  Found(id, Evidence::kPrepared);
  EXPECT_EQ(VoteOf(vote), Vote::kPrepared);
  const RequestToken commit = Commit(id);
  EXPECT_EQ(TakeCommands(), std::vector{CommandKind::kCommit});
  Committed(id, FinishState::kDone);
  EXPECT_EQ(FinishOf(commit).state, FinishState::kDone);
}

TEST_F(ApplicationManagedTest,
       Prepare_OfOneThatIsNotThere_IsRefused_AndItIsToldWhenItComesLate) {
  Recover();
  const BranchId id = StartApplicationManaged(Duration::Seconds(5));
  const RequestToken vote = Prepare(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(VoteOf(vote), Vote::kLost);
  table_->Adopt({id, Duration::Seconds(5)}, now_);
  Advance(Duration::Seconds(6));
  EXPECT_EQ(inquiries_, std::vector<BranchId>{id});
  table_->OnInquiryAnswer(id, InquiryAnswer::kRollback, now_);
  Drain();
  EXPECT_EQ(commands_.back().kind, CommandKind::kRollback);
}

TEST_F(ApplicationManagedTest,
       Scenario75_FoundBeforeTheCommitRequest_IsLeftAloneUntilItsDeadline) {
  const BranchId recovered = ManagedOfEarlierIncarnation(Duration::Seconds(20));
  Recover({{recovered, GracePeriodOf(recovered.number)}});
  const BranchId later = StartApplicationManaged(Duration::Seconds(20));
  table_->Adopt({later, Duration::Seconds(20)}, now_);
  for (int i = 0; i < 19; ++i) Advance(Duration::Seconds(1));
  EXPECT_TRUE(inquiries_.empty());
  Advance(Duration::Millis(1100));
  EXPECT_EQ(inquiries_.size(), 2u);
}

TEST_F(ApplicationManagedTest, Scenario75_ARestartDoesNotBeginTheDeadlineAnew) {
  const BranchId recovered = ManagedOfEarlierIncarnation(Duration::Seconds(20));
  Recover({{recovered, GracePeriodOf(recovered.number)}});
  table_->Adopt({recovered, GraceLeft(recovered.number, Duration::Seconds(15))}, now_);
  Advance(Duration::Seconds(4));
  EXPECT_TRUE(inquiries_.empty());
  Advance(Duration::Millis(1100));
  EXPECT_EQ(inquiries_.size(), 1u);
}

TEST_F(ApplicationManagedTest, LookedUpBeforeItIsFound_IsLeftAloneAsWell) {
  Recover();
  const BranchId id = StartApplicationManaged(Duration::Seconds(20));
  (void)CommitOnePhase(id);  // somebody's mistake
  Found(id, Evidence::kPrepared);
  Advance(Duration::Seconds(10));
  EXPECT_TRUE(inquiries_.empty());
}

TEST_F(ApplicationManagedTest, OnceACoordinatorKnowsIt_ItAsksLikeAnyOther) {
  Recover();
  const BranchId id = StartApplicationManaged(Duration::Seconds(60));
  table_->Adopt({id, Duration::Seconds(60)}, now_);
  const RequestToken vote = Prepare(id);
  EXPECT_EQ(VoteOf(vote), Vote::kPrepared);
  Advance(Duration::Millis(2100));
  EXPECT_EQ(inquiries_, std::vector<BranchId>{id});
}

TEST_F(ApplicationManagedTest, OrdinaryBranch_FoundAgain_IsNotHurried) {
  Recover();
  const BranchId id = StartPrepared();
  for (int i = 0; i < 6; ++i) Advance(Duration::Seconds(30));
  inquiries_.clear();
  table_->Adopt({id, Duration()}, now_);
  Advance(Duration::Seconds(3));
  EXPECT_TRUE(inquiries_.empty());
}

TEST_F(ApplicationManagedTest, Scenario18_ANumberNeverGivenOut_IsRefusedWithoutLooking) {
  Recover();
  BranchId forged = StartApplicationManaged();
  forged.number += 1;
  const RequestToken vote = Prepare(forged);
  EXPECT_EQ(VoteOf(vote), Vote::kRefused);
  EXPECT_TRUE(TakeCommands().empty());
}

// An application-managed branch's number is large: it must not make all other branches
// "perhaps forgotten".
TEST_F(ApplicationManagedTest, ForgottenHeuristicOfOne_HidesNoOtherAlarm) {
  BranchTableOptions options;
  options.max_remembered = 1;
  Reset(options);
  Recover();
  for (int i = 0; i < 2; ++i) {
    const BranchId id = StartApplicationManaged();
    (void)Prepare(id);
    Found(id, Evidence::kPrepared);
    (void)Commit(id);
    Committed(id, FinishState::kHeuristicRollback);
  }
  const BranchId lost = Start();
  table_->StartFailed(lost);
  const RequestToken commit = Commit(lost);
  Found(lost, Evidence::kNone);
  EXPECT_EQ(FinishOf(commit).state, FinishState::kHeuristicRollback);
}

}  // namespace
}  // namespace concordat::participant
