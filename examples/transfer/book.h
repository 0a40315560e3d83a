// All accounts of a run, each with its resource and its opening balance. Accounts have
// numbers, so that the ledger of many transfers stays small.
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
  std::string key;      // the key of its row: "bank:account"
  size_t resource = 0;  // index into Book::resources()
  Money opening;
};

// Immutable, and so thread-safe.
class Book {
 public:
  // Banks are placed on resources as described in input/placement.h. INVALID_ARGUMENT:
  // there is no resource, an account occurs twice, or the total does not fit.
  [[nodiscard]] static absl::StatusOr<Book> Make(
      const std::vector<std::pair<AccountId, Money>>& opening,
      const std::vector<std::string>& resources);

  [[nodiscard]] const std::vector<std::string>& resources() const { return resources_; }
  [[nodiscard]] const std::vector<Account>& accounts() const { return accounts_; }
  [[nodiscard]] const Account& account(uint32_t number) const {
    return accounts_[number];
  }
  // The account must be in the book (checked).
  [[nodiscard]] uint32_t NumberOf(const AccountId& id) const;
  [[nodiscard]] std::vector<std::string> BanksOn(size_t resource) const;
  [[nodiscard]] Money total() const { return total_; }

 private:
  Book() = default;

  std::vector<std::string> resources_;
  std::vector<std::vector<std::string>> banks_;  // by resource
  std::vector<Account> accounts_;
  absl::flat_hash_map<AccountId, uint32_t> numbers_;
  Money total_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BOOK_H_
