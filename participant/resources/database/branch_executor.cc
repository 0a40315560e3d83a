#include "participant/resources/database/branch_executor.h"

#include <utility>

namespace concordat::participant::database {

BranchExecutor::BranchExecutor(const DatabaseOptions* options, const Dialect* dialect,
                               Pool* pool, InDoubtResolver* resolver,
                               std::atomic<uint32_t>* count, Counters* counters)
    : options_(*options),
      dialect_(*dialect),
      pool_(pool),
      resolver_(resolver),
      count_(count),
      counters_(counters) {}

void BranchExecutor::Start(const BranchId& id, std::string begin_sql) {
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branch->begin_sql = std::move(begin_sql);
  branches_.emplace(id, std::move(branch));
}

auto BranchExecutor::Find(const BranchId& id) -> Branch* {
  const auto it = branches_.find(id);
  return it == branches_.end() ? nullptr : it->second.get();
}

void BranchExecutor::GiveBack(Branch* branch, bool clean) {
  branch->open = false;
  branch->savepoint = false;
  if (branch->session == nullptr) return;
  const SessionPtr session = std::exchange(branch->session, nullptr);
  if (!session->alive() && branch->phase != Phase::kUncertain) {
    resolver_->Abandon(session->id());
  }
  if (!clean || session->spent()) session->Close("it is not used again");
  // The session will be used by another branch: nothing of this one may stay in it.
  if (session->alive()) session->Reset();
  pool_->Release(session);
}

void BranchExecutor::Remove(Branch* branch, bool clean) {
  const std::unique_ptr<Branch> out = std::move(branches_.at(branch->id));
  branches_.erase(out->id);
  count_->fetch_sub(1, std::memory_order_relaxed);
  GiveBack(out.get(), clean);
}

void BranchExecutor::CloseAll() {
  std::vector<BranchId> idle;
  for (const auto& [id, branch] : branches_) {
    if (branch->phase == Phase::kIdle) idle.push_back(id);
  }
  for (const BranchId& id : idle) Remove(Find(id), /*clean=*/false);
}

}  // namespace concordat::participant::database
