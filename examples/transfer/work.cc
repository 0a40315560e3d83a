#include "examples/transfer/work.h"

#include <map>
#include <memory>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat::transfer {

WorkSource FromTransfers(std::vector<Transfer> transfers) {
  return
      [list = std::move(transfers), next = size_t{0}]() mutable -> std::optional<Work> {
        if (next == list.size()) return std::nullopt;
        return list[next++];
      };
}

WorkSource FromSmallBank(const SmallBank* bank, uint64_t seed) {
  return [stream = std::make_shared<SmallBankStream>(bank, seed)] {
    return std::optional<Work>(stream->Next());
  };
}

WorkSource Limit(WorkSource source, uint64_t count) {
  return [source = std::move(source), left = count]() mutable -> std::optional<Work> {
    if (left == 0) return std::nullopt;
    --left;
    return source();
  };
}

std::vector<AccountId> ReadsOf(const Work& work) {
  const auto* small_bank = std::get_if<SmallBankTransaction>(&work);
  return small_bank == nullptr ? std::vector<AccountId>() : small_bank->Reads();
}

bool Writes(const Work& work) {
  const auto* small_bank = std::get_if<SmallBankTransaction>(&work);
  return small_bank == nullptr || small_bank->kind != SmallBankKind::kBalance;
}

absl::StatusOr<std::vector<AccountOperation>> PlanOf(const Work& work,
                                                     const std::vector<Money>& balances) {
  if (const auto* small_bank = std::get_if<SmallBankTransaction>(&work)) {
    auto plan = small_bank->Plan(balances);
    if (!plan.ok()) return plan.status();
    return std::move(plan->writes);
  }
  const auto& transfer = std::get<Transfer>(work);
  using Kind = AccountOperation::Kind;
  return std::vector<AccountOperation>{
      {Kind::kAddIfAtLeast, transfer.from, *Negate(transfer.amount)},
      {Kind::kAdd, transfer.to, transfer.amount}};
}

std::vector<Change> ChangesOf(const std::vector<AccountOperation>& operations,
                              const std::vector<AccountId>& reads,
                              const std::vector<Money>& balances) {
  std::map<AccountId, Money> deltas;
  for (const AccountOperation& operation : operations) {
    Money delta = operation.amount;
    if (operation.kind == AccountOperation::Kind::kSet) {
      size_t read = 0;
      while (read < reads.size() && reads[read] != operation.account) ++read;
      CONCORDAT_CHECK(read < reads.size()) << "an account is set that was not read";
      const Money before = *Add(balances[read], deltas[operation.account]);
      delta = *Subtract(operation.amount, before);
    }
    Money& sum = deltas[operation.account];
    sum = *Add(sum, delta);
  }
  std::vector<Change> changes;
  for (const auto& [account, delta] : deltas) changes.push_back({account, delta});
  return changes;
}

}  // namespace concordat::transfer
