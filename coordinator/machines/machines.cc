#include "coordinator/machines/machines.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/running_hash.h"
#include "coordinator/registry/record.h"
#include "coordinator/txn/record.h"

namespace concordat::machines {

Machines::Machines(GroupId group, const txn::CoreOptions& txn,
                   const registry::Options& registry, ById others)
    : transactions_(group, txn),
      registry_(registry, this),
      set_(With(std::move(others))) {}

Machines::ById Machines::With(ById others) {
  others[txn::kMachine] = &transactions_;
  others[registry::kMachine] = &registry_;
  return others;
}

LogIndex Machines::last_applied() const {
  return std::max(transactions_.table().last_applied(), registry_.table().last_applied());
}

uint64_t Machines::StateHash() const {
  RunningHash hash(transactions_.table().Hash());
  hash.Mix(registry_.table().Hash());
  return hash.value();
}

void Machines::FillUnavailable(txn::TransactionView* view) const {
  for (const BranchId& waited_for : view->waiting_for) {
    for (txn::BranchView& branch : view->branches) {
      if (branch.id != waited_for || !branch.detail.empty()) continue;
      branch.detail = registry_.Unavailable(branch.id.resource);
    }
  }
}

txn::TransactionView Machines::Show(const Gtid& gtid, Timestamp now) const {
  txn::TransactionView view = transactions_.Show(gtid, now);
  FillUnavailable(&view);
  return view;
}

std::vector<txn::TransactionView> Machines::List(const Gtid& after, size_t limit,
                                                 Timestamp now) const {
  std::vector<txn::TransactionView> views = transactions_.List(after, limit, now);
  for (txn::TransactionView& view : views) FillUnavailable(&view);
  return views;
}

std::string DescribeCommand(std::string_view command) {
  const auto describe = [](const auto& record) {
    return record.ok() ? Describe(*record) : std::string(record.status().message());
  };
  const auto split = group::SplitCommand(command);
  if (!split.ok()) return std::string(split.status().message());
  if (split->machine == txn::kMachine) {
    return describe(txn::DecodeRecord(split->command));
  }
  if (split->machine == registry::kMachine) {
    return describe(registry::DecodeRecord(split->command));
  }
  return absl::StrCat("of state machine ", split->machine.value());
}

}  // namespace concordat::machines
