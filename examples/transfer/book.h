// All accounts of a run: where each lives and what is on it at first. An account has a
// number here, so that what is noted about thousands of transfers stays small.
//
//   auto book = Book::Make(opening, {"kv", "sql-1", "sql-2"});
//   const Account& a = book->account(book->NumberOf({"alder", "1001"}));
#ifndef EXAMPLES_TRANSFER_BOOK_H_
#define EXAMPLES_TRANSFER_BOOK_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "examples/transfer/input/account.h"
#include "examples/transfer/input/money.h"

namespace concordat::transfer {

struct Account {
  AccountId id;
  std::string key;      // of its row: "bank:account"
  size_t resource = 0;  // index into Book::resources()
  Money opening;
};

// Immutable, and so thread-safe.
class Book {
 public:
  // Banks are placed on the resources as input/placement.h says. INVALID_ARGUMENT when
  // there is no resource, an account comes twice, or the total does not fit.
  [[nodiscard]] static absl::StatusOr<Book> Make(
      const std::vector<std::pair<AccountId, Money>>& opening,
      const std::vector<std::string>& resources);

  [[nodiscard]] const std::vector<std::string>& resources() const { return resources_; }
  [[nodiscard]] const std::vector<Account>& accounts() const { return accounts_; }
  [[nodiscard]] const Account& account(uint32_t number) const {
    return accounts_[number];
  }
  // Programmer's error for an account that is not in the book.
  [[nodiscard]] uint32_t NumberOf(const AccountId& id) const;
  [[nodiscard]] std::vector<std::string> BanksOn(size_t resource) const;
  [[nodiscard]] Money total() const { return total_; }

 private:
  Book() = default;

  std::vector<std::string> resources_;
  std::vector<std::vector<std::string>> banks_;
  std::vector<Account> accounts_;
  absl::flat_hash_map<AccountId, uint32_t> numbers_;
  Money total_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BOOK_H_
