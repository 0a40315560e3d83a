#include "examples/transfer/input/smallbank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = AccountOperation::Kind;
using Balances = std::map<AccountId, Money>;

Money Units(int64_t units) { return Money::FromUnits(units); }

SmallBankOptions Options() {
  SmallBankOptions options;
  options.banks = {"north", "south", "east"};
  options.customers = 30;
  return options;
}

SmallBank MakeBank(SmallBankOptions options = Options()) {
  auto bank = SmallBank::Make(std::move(options));
  EXPECT_TRUE(bank.ok()) << bank.status();
  return *bank;
}

// A stream whose transactions are all of one kind.
SmallBankTransaction FirstOf(SmallBankKind kind, uint64_t seed = 1) {
  SmallBankOptions options = Options();
  options.mix = {};
  options.mix[static_cast<size_t>(kind)] = 100;
  const SmallBank bank = MakeBank(options);
  return SmallBankStream(&bank, seed).Next();
}

// The sum of all balances.
int64_t Total(const Balances& balances) {
  int64_t total = 0;
  for (const auto& [account, balance] : balances) total += balance.units();
  return total;
}

// Carries a plan out, all or nothing. False when it rolled back.
bool Apply(const std::vector<AccountOperation>& writes, Balances* balances) {
  Balances after = *balances;
  for (const AccountOperation& write : writes) {
    Money& balance = after.at(write.account);
    const Money sum = *Add(balance, write.amount);
    if (write.kind == Kind::kAddIfAtLeast && sum.is_negative()) return false;
    balance = write.kind == Kind::kSet ? write.amount : sum;
  }
  *balances = after;
  return true;
}

// Reads, plans, applies. The net if it committed, nothing if it rolled back.
std::optional<Money> Execute(const SmallBankTransaction& t, Balances* balances) {
  std::vector<Money> read;
  for (const AccountId& account : t.Reads()) read.push_back(balances->at(account));
  const auto plan = t.Plan(read);
  EXPECT_TRUE(plan.ok());
  if (!Apply(plan->writes, balances)) return std::nullopt;
  return plan->net;
}

Balances Opening(const SmallBank& bank) {
  Balances balances;
  for (const auto& [account, money] : bank.OpeningAccounts()) balances[account] = money;
  return balances;
}

TEST(SmallBank, StandardMix_IsFifteenPercentEachAndTwentyFiveForSendPayment) {
  const SmallBank bank = MakeBank();
  SmallBankStream stream(&bank, 3);
  constexpr int kDraws = 100'000;
  std::map<SmallBankKind, int> counts;
  for (int i = 0; i < kDraws; ++i) ++counts[stream.Next().kind];
  ASSERT_THAT(counts, SizeIs(kSmallBankKinds));
  for (const auto& [kind, count] : counts) {
    const double share = kind == SmallBankKind::kSendPayment ? 0.25 : 0.15;
    // Five standard deviations of a binomial count.
    const double slack = 5 * std::sqrt(kDraws * share * (1 - share));
    EXPECT_NEAR(count, kDraws * share, slack) << ToString(kind);
  }
}

TEST(SmallBank, MoneyBeforeAndNetsOfTheCommitted_IsMoneyAfter) {
  for (const int decimals : {2, 3, 4}) {
    SmallBankOptions options = Options();
    options.customers = 6;  // few, so that accounts run dry
    options.scale = Scale(decimals);
    const SmallBank bank = MakeBank(options);
    Balances balances = Opening(bank);
    for (auto& [account, balance] : balances) balance = Units(10'000);
    SmallBankStream stream(&bank, 11);
    int64_t expected = Total(balances);
    int rolled_back = 0, overdrawn = 0;
    for (int i = 0; i < 20'000; ++i) {
      const SmallBankTransaction t = stream.Next();
      const auto net = Execute(t, &balances);
      rolled_back += net ? 0 : 1;
      expected += net ? net->units() : 0;
      overdrawn += t.kind == SmallBankKind::kWriteCheck && net != Negate(t.amount);
      ASSERT_EQ(Total(balances), expected) << ToString(t.kind) << " at step " << i;
    }
    EXPECT_GT(rolled_back, 100);
    EXPECT_GT(overdrawn, 100);
  }
}

TEST(SmallBank, Balance_ReadsBothAccountsAndChangesNothing) {
  const auto t = FirstOf(SmallBankKind::kBalance);
  EXPECT_THAT(t.Reads(), ElementsAre(t.savings, t.checking));
  const auto plan = t.Plan({Units(1), Units(2)});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->writes, IsEmpty());
  EXPECT_EQ(plan->net, Money());
}

TEST(SmallBank, DepositChecking_AddsFromOutside) {
  const auto t = FirstOf(SmallBankKind::kDepositChecking);
  const auto plan = t.Plan({});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->writes,
              ElementsAre(AccountOperation{Kind::kAdd, t.checking, Units(130)}));
  EXPECT_EQ(plan->net, Units(130));
}

TEST(SmallBank, TransactSavings_IsDepositOrWithdrawalThatMayNotOverdraw) {
  std::set<Money> amounts;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const auto t = FirstOf(SmallBankKind::kTransactSavings, seed);
    const auto plan = t.Plan({});
    ASSERT_TRUE(plan.ok());
    EXPECT_THAT(plan->writes,
                ElementsAre(AccountOperation{Kind::kAddIfAtLeast, t.savings, t.amount}));
    EXPECT_EQ(plan->net, t.amount);
    amounts.insert(t.amount);
  }
  EXPECT_THAT(amounts, ElementsAre(Units(-2020), Units(2020)));
}

TEST(SmallBank, Amalgamate_MovesAllOfTheFirstToTheSecond) {
  const auto t = FirstOf(SmallBankKind::kAmalgamate);
  EXPECT_THAT(t.Reads(), ElementsAre(t.savings, t.checking));
  EXPECT_NE(t.checking, t.other_checking);
  const auto plan = t.Plan({Units(700), Units(-50)});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->writes,
              ElementsAre(AccountOperation{Kind::kSet, t.savings, Money()},
                          AccountOperation{Kind::kSet, t.checking, Money()},
                          AccountOperation{Kind::kAdd, t.other_checking, Units(650)}));
  EXPECT_EQ(plan->net, Money());
}

TEST(SmallBank, WriteCheck_OverBothBalancesCostsAPenalty) {
  const auto t = FirstOf(SmallBankKind::kWriteCheck);
  const auto covered = t.Plan({Units(400), Units(100)});
  ASSERT_TRUE(covered.ok());
  EXPECT_THAT(covered->writes,
              ElementsAre(AccountOperation{Kind::kAdd, t.checking, Units(-500)}));
  EXPECT_EQ(covered->net, Units(-500));
  const auto overdrawn = t.Plan({Units(400), Units(99)});
  ASSERT_TRUE(overdrawn.ok());
  EXPECT_THAT(overdrawn->writes,
              ElementsAre(AccountOperation{Kind::kAdd, t.checking, Units(-600)}));
  EXPECT_EQ(overdrawn->net, Units(-600));
}

TEST(SmallBank, SendPayment_TakesOnlyWhatIsThere) {
  const auto t = FirstOf(SmallBankKind::kSendPayment);
  EXPECT_NE(t.checking, t.other_checking);
  const auto plan = t.Plan({});
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->writes,
              ElementsAre(AccountOperation{Kind::kAddIfAtLeast, t.checking, Units(-500)},
                          AccountOperation{Kind::kAdd, t.other_checking, Units(500)}));
  EXPECT_EQ(plan->net, Money());
}

TEST(SmallBank, SumThatOverflows_RollsBack) {
  const Money max = Units(std::numeric_limits<int64_t>::max());
  for (const auto kind : {SmallBankKind::kAmalgamate, SmallBankKind::kWriteCheck}) {
    EXPECT_TRUE(absl::IsOutOfRange(FirstOf(kind).Plan({max, Units(1)}).status()));
  }
}

TEST(SmallBank, PlanWithoutItsBalances_IsAProgrammersError) {
  const auto t = FirstOf(SmallBankKind::kAmalgamate);
  EXPECT_DEATH((void)t.Plan({}), "Amalgamate with 0 balances");
}

TEST(SmallBank, Customers_AreSpreadOverTheBanksWithDistinctAccounts) {
  const SmallBank bank = MakeBank();
  EXPECT_EQ(ToString(bank.Savings(4)), "south:savings-4");
  EXPECT_EQ(ToString(bank.Checking(4)), "south:checking-4");
  const auto accounts = bank.OpeningAccounts();
  EXPECT_THAT(accounts, SizeIs(60));
  EXPECT_THAT(Opening(bank), SizeIs(60));
  std::map<std::string, int> per_bank;
  for (const auto& [account, money] : accounts) {
    ++per_bank[account.bank];
    EXPECT_GE(money, Units(10'000'00));
    EXPECT_LE(money, Units(50'000'00));
  }
  EXPECT_EQ(per_bank,
            (std::map<std::string, int>{{"east", 20}, {"north", 20}, {"south", 20}}));
}

TEST(SmallBank, OneSeed_GivesOneSequence) {
  const SmallBank bank = MakeBank();
  const auto draw = [&bank](uint64_t seed) {
    SmallBankStream stream(&bank, seed);
    std::string all;
    for (int i = 0; i < 100; ++i) {
      const auto t = stream.Next();
      all += std::string(ToString(t.kind)) + ToString(t.checking) +
             ToString(t.other_checking);
    }
    return all;
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_NE(draw(5), draw(6));
  EXPECT_EQ(MakeBank().OpeningAccounts(), bank.OpeningAccounts());
}

uint64_t CustomerOf(const AccountId& id) {
  return std::stoull(id.account.substr(id.account.find('-') + 1));
}

TEST(SmallBank, HotSpot_GetsItsShareAndPairsStayOnOneSide) {
  SmallBankOptions options = Options();
  options.customers = 1000;
  options.hot_customers = 10;
  const SmallBank bank = MakeBank(options);
  SmallBankStream stream(&bank, 9);
  int hot = 0;
  std::set<uint64_t> seen;
  for (int i = 0; i < 20'000; ++i) {
    const auto t = stream.Next();
    const uint64_t first = CustomerOf(t.checking);
    seen.insert(first);
    hot += first < 10;
    if (!t.other_checking.account.empty()) {
      EXPECT_EQ(CustomerOf(t.other_checking) < 10, first < 10);
      EXPECT_NE(CustomerOf(t.other_checking), first);
    }
  }
  EXPECT_NEAR(hot, 18'000, 250);
  EXPECT_GT(seen.size(), 800u);  // the rest is drawn from all of the rest
}

TEST(SmallBank, WithoutAHotSpot_AllCustomersAreDrawnAlike) {
  const SmallBank bank = MakeBank();
  SmallBankStream stream(&bank, 2);
  std::map<uint64_t, int> first, second;
  for (int i = 0; i < 30'000; ++i) {
    const auto t = stream.Next();
    ++first[CustomerOf(t.checking)];
    if (!t.other_checking.account.empty()) ++second[CustomerOf(t.other_checking)];
  }
  EXPECT_THAT(first, SizeIs(30));
  EXPECT_THAT(second, SizeIs(30));
  for (const auto& [customer, count] : first) EXPECT_NEAR(count, 1000, 160) << customer;
  for (const auto& [customer, count] : second) EXPECT_NEAR(count, 400, 100) << customer;
}

TEST(SmallBank, OptionsThatCannotWork_AreRefused) {
  const auto refused = [](auto change) {
    SmallBankOptions options = Options();
    change(&options);
    return absl::IsInvalidArgument(SmallBank::Make(options).status());
  };
  EXPECT_TRUE(refused([](auto* o) { o->banks.clear(); }));
  EXPECT_TRUE(refused([](auto* o) { o->banks = {"a:b"}; }));
  EXPECT_TRUE(refused([](auto* o) { o->banks = {""}; }));
  EXPECT_TRUE(refused([](auto* o) { o->mix[0] = 14; }));
  EXPECT_TRUE(refused([](auto* o) { o->customers = 1; }));
  EXPECT_TRUE(refused([](auto* o) { o->hot_customers = 1; }));
  EXPECT_TRUE(refused([](auto* o) { o->hot_customers = 29; }));
  EXPECT_TRUE(refused([](auto* o) { o->hot_percent = 101; }));
  EXPECT_FALSE(refused([](auto* o) { o->hot_customers = 28; }));
}

}  // namespace
}  // namespace concordat::transfer
