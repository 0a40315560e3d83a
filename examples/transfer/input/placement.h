// Which resource holds which bank, for any number of banks on any number of resources.
//
//   auto placement = Placement::Make({"north", "south", "east"}, {"kv-1", "sql-1"});
//   placement->ResourceOf("north") == "kv-1"
//
// Banks and resources are sorted, and the n-th bank goes to the n-th resource, round
// and round. So the sets alone decide, not their order, and no resource gets more
// than one bank beyond another's, which a hash would not give for a handful of banks.
// The price: with another set of banks a bank may move, so a data folder that is kept
// goes with the banks it was loaded for.
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
  // INVALID_ARGUMENT when there are banks and no resource.
  [[nodiscard]] static absl::StatusOr<Placement> Make(
      const std::set<std::string>& banks, const std::set<std::string>& resources);

  // Programmer's error for a bank that was not placed.
  [[nodiscard]] const std::string& ResourceOf(std::string_view bank) const;

  // The banks on a resource, sorted; none for one that is not known.
  [[nodiscard]] std::vector<std::string> BanksOn(std::string_view resource) const;

 private:
  std::map<std::string, std::string, std::less<>> resource_of_;
};

[[nodiscard]] std::set<std::string> BanksOf(const std::vector<AccountId>& accounts);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_PLACEMENT_H_
