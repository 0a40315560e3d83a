#include "examples/transfer/input/smallbank.h"

#include <numeric>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::transfer {

namespace {

using Operation = AccountOperation;

constexpr std::array<std::string_view, kSmallBankKinds> kKindNames = {
    "Balance",    "DepositChecking", "TransactSavings",
    "Amalgamate", "WriteCheck",      "SendPayment"};

// H-Store's constants, in hundredths: the smallest scale has them exactly.
constexpr int64_t kDepositHundredths = 130;
constexpr int64_t kSavingsHundredths = 2020;
constexpr int64_t kCheckHundredths = 500;
constexpr int64_t kPaymentHundredths = 500;
constexpr int64_t kMinOpeningWhole = 10'000;
constexpr int64_t kMaxOpeningWhole = 50'000;

Money Hundredths(int64_t hundredths, const Scale& scale) {
  return Money::FromUnits(hundredths * (scale.units_per_whole() / 100));
}

bool HasSecondCustomer(SmallBankKind kind) {
  return kind == SmallBankKind::kAmalgamate || kind == SmallBankKind::kSendPayment;
}

absl::Status Overflow() { return absl::OutOfRangeError("a sum of money overflows"); }

absl::StatusOr<SmallBankPlan> PlanAmalgamate(const SmallBankTransaction& t, Money savings,
                                             Money checking) {
  const auto all = Add(savings, checking);
  if (!all) return Overflow();
  SmallBankPlan plan;
  plan.writes = {{Operation::Kind::kSet, t.savings, Money()},
                 {Operation::Kind::kSet, t.checking, Money()},
                 {Operation::Kind::kAdd, t.other_checking, *all}};
  return plan;
}

absl::StatusOr<SmallBankPlan> PlanWriteCheck(const SmallBankTransaction& t, Money savings,
                                             Money checking) {
  const auto all = Add(savings, checking);
  if (!all) return Overflow();
  Money debit = t.amount;
  if (*all < t.amount) {
    const auto with_penalty = Add(t.amount, t.penalty);
    if (!with_penalty) return Overflow();
    debit = *with_penalty;
  }
  SmallBankPlan plan;
  plan.net = Money::FromUnits(-debit.units());  // debit is not negative
  plan.writes = {{Operation::Kind::kAdd, t.checking, plan.net}};
  return plan;
}

}  // namespace

std::string_view ToString(SmallBankKind kind) {
  return kKindNames[static_cast<size_t>(kind)];
}

std::vector<AccountId> SmallBankTransaction::Reads() const {
  switch (kind) {
    case SmallBankKind::kBalance:
    case SmallBankKind::kAmalgamate:
    case SmallBankKind::kWriteCheck:
      return {savings, checking};
    case SmallBankKind::kDepositChecking:
    case SmallBankKind::kTransactSavings:
    case SmallBankKind::kSendPayment:
      return {};  // their conditions are tested by the operations themselves
  }
  return {};
}

absl::StatusOr<SmallBankPlan> SmallBankTransaction::Plan(
    const std::vector<Money>& balances) const {
  CONCORDAT_CHECK(balances.size() == Reads().size())
      << ToString(kind) << " with " << balances.size() << " balances";
  SmallBankPlan plan;
  switch (kind) {
    case SmallBankKind::kBalance:
      return plan;
    case SmallBankKind::kDepositChecking:
      plan.writes = {{Operation::Kind::kAdd, checking, amount}};
      plan.net = amount;
      return plan;
    case SmallBankKind::kTransactSavings:
      plan.writes = {{Operation::Kind::kAddIfAtLeast, savings, amount}};
      plan.net = amount;
      return plan;
    case SmallBankKind::kAmalgamate:
      return PlanAmalgamate(*this, balances[0], balances[1]);
    case SmallBankKind::kWriteCheck:
      return PlanWriteCheck(*this, balances[0], balances[1]);
    case SmallBankKind::kSendPayment:
      plan.writes = {
          {Operation::Kind::kAddIfAtLeast, checking, Money::FromUnits(-amount.units())},
          {Operation::Kind::kAdd, other_checking, amount}};
      return plan;
  }
  return absl::InternalError("no such kind of transaction");
}

absl::StatusOr<SmallBank> SmallBank::Make(SmallBankOptions options) {
  if (options.banks.empty()) return absl::InvalidArgumentError("no bank");
  for (const std::string& bank : options.banks) {
    const auto account = ParseAccount(absl::StrCat(bank, ":x"));
    if (!account.ok() || account->bank != bank) {
      return absl::InvalidArgumentError(absl::StrCat("\"", bank, "\" cannot be a bank"));
    }
  }
  const auto percent = std::accumulate(options.mix.begin(), options.mix.end(), 0u);
  if (percent != 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("the mix adds up to ", percent, " percent"));
  }
  if (options.hot_percent > 100) {
    return absl::InvalidArgumentError("more than a hundred percent in the hot spot");
  }
  const uint64_t hot = options.hot_customers;
  // Amalgamate and SendPayment need two customers, both inside or both outside.
  if (options.customers < hot + 2 || hot == 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("two customers are wanted inside and outside the hot spot, of ",
                     options.customers, " with ", hot, " hot"));
  }
  return SmallBank(std::move(options));
}

AccountId SmallBank::Account(std::string_view type, uint64_t customer) const {
  const std::string& bank = options_.banks[customer % options_.banks.size()];
  return AccountId{
      bank, absl::StrCat(absl::string_view(type.data(), type.size()), "-", customer)};
}

AccountId SmallBank::Savings(uint64_t customer) const {
  return Account("savings", customer);
}

AccountId SmallBank::Checking(uint64_t customer) const {
  return Account("checking", customer);
}

std::vector<std::pair<AccountId, Money>> SmallBank::OpeningAccounts() const {
  Random random(options_.seed);
  const int64_t per_whole = options_.scale.units_per_whole();
  const auto draw = [&random, per_whole] {
    return Money::FromUnits(
        random.Between(kMinOpeningWhole * per_whole, kMaxOpeningWhole * per_whole));
  };
  std::vector<std::pair<AccountId, Money>> accounts;
  accounts.reserve(options_.customers * 2);
  for (uint64_t customer = 0; customer < options_.customers; ++customer) {
    accounts.emplace_back(Savings(customer), draw());
    accounts.emplace_back(Checking(customer), draw());
  }
  return accounts;
}

SmallBankKind SmallBankStream::DrawKind() {
  uint64_t drawn = random_.Below(100);
  for (size_t kind = 0; kind + 1 < kSmallBankKinds; ++kind) {
    const uint32_t share = bank_->options().mix[kind];
    if (drawn < share) return static_cast<SmallBankKind>(kind);
    drawn -= share;
  }
  return static_cast<SmallBankKind>(kSmallBankKinds - 1);  // the rest of the 100 %
}

std::pair<uint64_t, uint64_t> SmallBankStream::DrawCustomers() {
  const SmallBankOptions& options = bank_->options();
  const uint64_t hot_customers = options.hot_customers;
  const bool hot = hot_customers > 0 && random_.Percent(options.hot_percent);
  const uint64_t base = hot ? 0 : hot_customers;
  const uint64_t count = hot ? hot_customers : options.customers - hot_customers;
  const uint64_t first = random_.Below(count);
  // One of the others, with equal probability.
  const uint64_t second = (first + 1 + random_.Below(count - 1)) % count;
  return {base + first, base + second};
}

SmallBankTransaction SmallBankStream::Next() {
  const Scale& scale = bank_->options().scale;
  SmallBankTransaction t;
  t.kind = DrawKind();
  const auto [first, second] = DrawCustomers();
  t.savings = bank_->Savings(first);
  t.checking = bank_->Checking(first);
  if (HasSecondCustomer(t.kind)) t.other_checking = bank_->Checking(second);
  switch (t.kind) {
    case SmallBankKind::kBalance:
    case SmallBankKind::kAmalgamate:
      break;
    case SmallBankKind::kDepositChecking:
      t.amount = Hundredths(kDepositHundredths, scale);
      break;
    case SmallBankKind::kTransactSavings:
      t.amount = Hundredths(
          random_.Percent(50) ? kSavingsHundredths : -kSavingsHundredths, scale);
      break;
    case SmallBankKind::kWriteCheck:
      t.amount = Hundredths(kCheckHundredths, scale);
      t.penalty = Hundredths(100, scale);
      break;
    case SmallBankKind::kSendPayment:
      t.amount = Hundredths(kPaymentHundredths, scale);
      break;
  }
  return t;
}

}  // namespace concordat::transfer
