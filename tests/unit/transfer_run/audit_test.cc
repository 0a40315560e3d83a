// The comparison at the end must see each way in which money or an answer can be wrong.
#include "examples/transfer/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kFirst = 0;   // index of the resource with bank "a"
constexpr size_t kSecond = 1;  // with bank "b"

Gtid MakeGtid(uint64_t sequence) { return Gtid{GroupId(1), Term(2), sequence}; }

// Two banks at two resources, an account with 100 units each, and one transfer of 30.
class AuditTest : public ::testing::Test {
 protected:
  AuditTest()
      : book_(*Book::Make(
            {{{"a", "1"}, Money::FromUnits(100)}, {{"b", "1"}, Money::FromUnits(100)}},
            {"kv", "sql"})) {
    contents_.resize(2);
    contents_[kFirst].balances["a:1"] = Money::FromUnits(70);
    contents_[kSecond].balances["b:1"] = Money::FromUnits(130);
    contents_[kFirst].evidence = {{1, ToString(MakeGtid(1)), Money::FromUnits(-30)}};
    contents_[kSecond].evidence = {{1, ToString(MakeGtid(1)), Money::FromUnits(30)}};
    ledger_ = {Entry(1, Told::kCommitted)};
  }

  static LedgerEntry Entry(uint64_t number, Told told) {
    return {number,
            told,
            MakeGtid(number),
            {{0, Money::FromUnits(-30)}, {1, Money::FromUnits(30)}}};
  }
  void UndoTheTransfer() {
    contents_[kFirst].balances["a:1"] = Money::FromUnits(100);
    contents_[kSecond].balances["b:1"] = Money::FromUnits(100);
    contents_[kFirst].evidence.clear();
    contents_[kSecond].evidence.clear();
  }
  AuditResult Run() const { return Audit(book_, ledger_, contents_, Scale(2)); }

  const Book book_;
  std::vector<ResourceContents> contents_;
  Ledger ledger_;
};

TEST_F(AuditTest, CommittedTransfer_DoneOnBothSides_Agrees) {
  const AuditResult result = Run();
  EXPECT_TRUE(result.agrees()) << ::testing::PrintToString(result.findings);
  EXPECT_EQ(result.money_after, Money::FromUnits(200));
  EXPECT_EQ(result.money_expected, Money::FromUnits(200));
  EXPECT_EQ(result.committed, 1u);
  EXPECT_EQ(result.accounts, 2u);
  EXPECT_EQ(result.evidence_rows, 2u);
}

TEST_F(AuditTest, CommittedTransfer_CreditMissing_Disagrees) {
  contents_[kSecond].balances["b:1"] = Money::FromUnits(100);
  contents_[kSecond].evidence.clear();
  const AuditResult result = Run();
  EXPECT_FALSE(result.agrees());
  EXPECT_THAT(
      result.findings,
      ElementsAre("transfer 1 (1.2.1): told COMMITTED, done at 1 of its 2 resources",
                  "account b:1 has 1.00 and should have 1.30",
                  "the banks have 1.70 and should have 2.00"));
}

TEST_F(AuditTest, CommittedTransfer_NotDoneAnywhere_Disagrees) {
  UndoTheTransfer();
  const AuditResult result = Run();
  // The sums agree: only the evidence and the accounts show it.
  EXPECT_EQ(result.money_after, result.money_expected);
  EXPECT_EQ(result.finding_count, 3u);
  EXPECT_THAT(result.findings.front(), HasSubstr("done at 0 of its 2"));
}

TEST_F(AuditTest, AbortedTransfer_DoneAllTheSame_Disagrees) {
  for (const Told told : {Told::kAborted, Told::kRefused}) {
    ledger_ = {Entry(1, told)};
    const AuditResult result = Run();
    EXPECT_FALSE(result.agrees());
    EXPECT_THAT(result.findings.front(),
                HasSubstr("told ABORTED, done at 2 of its 2 resources"));
  }
}

TEST_F(AuditTest, AbortedTransfer_NotDone_Agrees) {
  UndoTheTransfer();
  ledger_ = {Entry(1, Told::kAborted), Entry(2, Told::kRefused)};
  EXPECT_TRUE(Run().agrees());
}

TEST_F(AuditTest, UnknownTransfer_DoneEverywhere_CountsAsCommitted) {
  ledger_ = {Entry(1, Told::kUnknown)};
  const AuditResult result = Run();
  EXPECT_TRUE(result.agrees()) << ::testing::PrintToString(result.findings);
  EXPECT_EQ(result.unknown_committed, 1u);
}

TEST_F(AuditTest, UnknownTransfer_DoneNowhere_CountsAsNotDone) {
  UndoTheTransfer();
  ledger_ = {Entry(1, Told::kUnknown)};
  const AuditResult result = Run();
  EXPECT_TRUE(result.agrees());
  EXPECT_EQ(result.unknown_not_done, 1u);
}

TEST_F(AuditTest, UnknownTransfer_DoneOnOneSide_Disagrees) {
  ledger_ = {Entry(1, Told::kUnknown)};
  contents_[kFirst].evidence.clear();
  contents_[kFirst].balances["a:1"] = Money::FromUnits(100);
  const AuditResult result = Run();
  EXPECT_FALSE(result.agrees());
  EXPECT_THAT(result.findings.front(),
              HasSubstr("told UNKNOWN, done at 1 of its 2 resources"));
}

TEST_F(AuditTest, Evidence_OfAnotherTry_Disagrees) {
  contents_[kFirst].evidence[0].gtid = ToString(MakeGtid(9));
  const AuditResult result = Run();
  EXPECT_FALSE(result.agrees());
  EXPECT_THAT(result.findings.front(), HasSubstr("by transaction 1.2.9"));
}

TEST_F(AuditTest, Evidence_OfNobodysTransfer_Disagrees) {
  contents_[kFirst].evidence.push_back({7, "1.2.7", Money()});
  const AuditResult result = Run();
  ASSERT_EQ(result.finding_count, 1u);
  EXPECT_THAT(result.findings[0], HasSubstr("transfer 7 (1.2.7) at kv, which nobody"));
}

TEST_F(AuditTest, Evidence_Twice_Disagrees) {
  contents_[kFirst].evidence.push_back(contents_[kFirst].evidence[0]);
  const AuditResult result = Run();
  ASSERT_EQ(result.finding_count, 1u);
  EXPECT_THAT(result.findings[0], HasSubstr("two rows of evidence at kv"));
}

TEST_F(AuditTest, Evidence_OfAnotherAmount_Disagrees) {
  contents_[kFirst].evidence[0].net = Money::FromUnits(-29);
  const AuditResult result = Run();
  ASSERT_EQ(result.finding_count, 1u);
  EXPECT_EQ(result.findings[0],
            "transfer 1 changed kv by -0.29, its client wanted -0.30");
}

TEST_F(AuditTest, Accounts_OffByACentEach_DisagreeThoughTheSumIsRight) {
  contents_[kFirst].balances["a:1"] = Money::FromUnits(71);
  contents_[kSecond].balances["b:1"] = Money::FromUnits(129);
  const AuditResult result = Run();
  EXPECT_EQ(result.money_after, result.money_expected);
  EXPECT_EQ(result.finding_count, 2u);
}

TEST_F(AuditTest, Account_GoneOrNew_Disagrees) {
  contents_[kFirst].balances.clear();
  contents_[kSecond].balances["b:2"] = Money::FromUnits(70);
  const AuditResult result = Run();
  EXPECT_THAT(result.findings, ElementsAre("account a:1 is gone",
                                           "account b:2 at sql was never opened there"));
}

TEST_F(AuditTest, ManyFindings_AreCountedAndTheFirstShown) {
  for (uint64_t n = 100; n < 200; ++n) {
    contents_[kFirst].evidence.push_back({n, "1.2.7", Money()});
  }
  const AuditResult result = Run();
  EXPECT_EQ(result.finding_count, 100u);
  EXPECT_EQ(result.findings.size(), 20u);
}

}  // namespace
}  // namespace concordat::transfer
