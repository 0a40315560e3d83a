#include "examples/transfer/book.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "examples/transfer/input/placement.h"

namespace concordat::transfer {

absl::StatusOr<Book> Book::Make(const std::vector<std::pair<AccountId, Money>>& opening,
                                const std::vector<std::string>& resources) {
  std::set<std::string> banks;
  for (const auto& [id, money] : opening) banks.insert(id.bank);
  const auto placement =
      Placement::Make(banks, std::set<std::string>(resources.begin(), resources.end()));
  if (!placement.ok()) return placement.status();
  Book book;
  book.resources_ = resources;
  for (const std::string& resource : resources) {
    book.banks_.push_back(placement->BanksOn(resource));
  }
  for (const auto& [id, money] : opening) {
    const auto number = static_cast<uint32_t>(book.accounts_.size());
    if (!book.numbers_.emplace(id, number).second) {
      return absl::InvalidArgumentError(absl::StrCat("account twice: ", ToString(id)));
    }
    const auto place =
        std::find(resources.begin(), resources.end(), placement->ResourceOf(id.bank));
    book.accounts_.push_back(
        {id, ToString(id), static_cast<size_t>(place - resources.begin()), money});
    const auto total = Add(book.total_, money);
    if (!total) return absl::InvalidArgumentError("the sum of all balances is too large");
    book.total_ = *total;
  }
  return book;
}

uint32_t Book::NumberOf(const AccountId& id) const {
  const auto found = numbers_.find(id);
  CONCORDAT_CHECK(found != numbers_.end()) << "no account " << ToString(id);
  return found->second;
}

std::vector<std::string> Book::BanksOn(size_t resource) const { return banks_[resource]; }

}  // namespace concordat::transfer
