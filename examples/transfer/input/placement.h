// Assigns any number of banks to any number of resources.
//
//   auto placement = Placement::Make({"north", "south", "east"}, {"kv-1", "sql-1"});
//   const std::string& resource = placement->ResourceOf("east");   // "kv-1"
//
// Banks and resources are sorted, and bank number n is assigned to resource number n
// modulo the number of resources. So only the sets matter, not their order, and the
// numbers of banks on two resources differ by at most one; a hash would not achieve that
// for a few banks. The disadvantage: with another set of banks a bank may move, so a data
// folder can be used again only with the same banks.
#ifndef EXAMPLES_TRANSFER_INPUT_PLACEMENT_H_
#define EXAMPLES_TRANSFER_INPUT_PLACEMENT_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "examples/transfer/input/account.h"

namespace concordat::transfer {

// Immutable, and so thread-safe.
class Placement {
 public:
  // INVALID_ARGUMENT: there are banks but no resources.
  [[nodiscard]] static absl::StatusOr<Placement> Make(
      const std::set<std::string>& banks, const std::set<std::string>& resources);

  // The bank must have been assigned (checked).
  [[nodiscard]] const std::string& ResourceOf(std::string_view bank) const;

  // The banks on a resource, sorted. Empty for an unknown resource.
  [[nodiscard]] std::vector<std::string> BanksOn(std::string_view resource) const;

 private:
  std::map<std::string, std::string, std::less<>> resource_of_;
};

[[nodiscard]] std::set<std::string> BanksOf(const std::vector<AccountId>& accounts);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_PLACEMENT_H_
