// Machines: the state machines of a coordinator's group, and what they need of each
// other. The registry asks the transactions whether one of them needs a resource, and
// tells them when a resource can be reached again. They know no more of each other.
//
//   Machines machines(group, txn_options, registry_options);
//   Replica replica(config, recovered, machines.set(), &store, &environment);
//   machines.transactions().Handle(input, now);
//   machines.registry().Submit(token, request, now);
//
// Not thread-safe: used on the node's loop.
#ifndef COORDINATOR_MACHINES_MACHINES_H_
#define COORDINATOR_MACHINES_MACHINES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/machine_set.h"
#include "coordinator/registry/registry.h"
#include "coordinator/txn/core.h"
#include "coordinator/txn/view.h"

namespace concordat::machines {

class Machines final : private registry::ResourceUsers {
 public:
  // `others` are further machines that share the group. They outlive it.
  Machines(GroupId group, const txn::CoreOptions& txn, const registry::Options& registry,
           std::map<group::MachineId, group::StateMachine*> others = {});
  Machines(const Machines&) = delete;
  Machines& operator=(const Machines&) = delete;

  [[nodiscard]] group::MachineSet* set() { return &set_; }
  [[nodiscard]] txn::Core& transactions() { return transactions_; }
  [[nodiscard]] const txn::Core& transactions() const { return transactions_; }
  [[nodiscard]] registry::Registry& registry() { return registry_; }
  [[nodiscard]] const registry::Registry& registry() const { return registry_; }

  // The index of the last command that was applied to either of the two.
  [[nodiscard]] LogIndex last_applied() const;
  // A digest of all that was applied. Equal on every node at the same index.
  [[nodiscard]] uint64_t StateHash() const;
  // As Core's functions of these names. Where a branch is waited for and has given no
  // reason itself, its detail says why the participant cannot use the resource now.
  [[nodiscard]] txn::TransactionView Show(const Gtid& gtid, Timestamp now) const;
  [[nodiscard]] std::vector<txn::TransactionView> List(const Gtid& after, size_t limit,
                                                       Timestamp now) const;

 private:
  // registry::ResourceUsers
  std::optional<Gtid> UserOf(std::string_view resource) const override {
    return transactions_.table().UserOf(resource);
  }
  void OnReachable(std::string_view resource, Timestamp now) override {
    transactions_.RetryNow(resource, now);
  }

  void FillUnavailable(txn::TransactionView* view) const;

  using ById = std::map<group::MachineId, group::StateMachine*>;
  [[nodiscard]] ById With(ById others);

  txn::Core transactions_;
  registry::Registry registry_;  // is told of leadership after the transactions
  group::MachineSet set_;        // of the two above, and of the others
};

// One line for operators: the content of a command of one of these machines, or why it
// cannot be read.
[[nodiscard]] std::string DescribeCommand(std::string_view command);

}  // namespace concordat::machines

#endif  // COORDINATOR_MACHINES_MACHINES_H_
