#include "examples/transfer/input/placement.h"

#include "coordinator/base/check.h"

namespace concordat::transfer {

absl::StatusOr<Placement> Placement::Make(const std::set<std::string>& banks,
                                          const std::set<std::string>& resources) {
  if (!banks.empty() && resources.empty()) {
    return absl::InvalidArgumentError("there is no resource to place the banks on");
  }
  Placement placement;
  auto resource = resources.begin();
  for (const std::string& bank : banks) {
    placement.resource_of_.emplace(bank, *resource);
    if (++resource == resources.end()) resource = resources.begin();
  }
  return placement;
}

const std::string& Placement::ResourceOf(std::string_view bank) const {
  const auto found = resource_of_.find(bank);
  CONCORDAT_CHECK(found != resource_of_.end()) << "bank " << bank << " was not placed";
  return found->second;
}

std::vector<std::string> Placement::BanksOn(std::string_view resource) const {
  std::vector<std::string> banks;
  for (const auto& [bank, holder] : resource_of_) {
    if (holder == resource) banks.push_back(bank);
  }
  return banks;
}

std::set<std::string> BanksOf(const std::vector<AccountId>& accounts) {
  std::set<std::string> banks;
  for (const AccountId& id : accounts) banks.insert(id.bank);
  return banks;
}

}  // namespace concordat::transfer
