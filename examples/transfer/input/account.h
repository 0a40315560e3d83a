// An account is named by its bank and its name there: "bank:account".
#ifndef EXAMPLES_TRANSFER_INPUT_ACCOUNT_H_
#define EXAMPLES_TRANSFER_INPUT_ACCOUNT_H_

#include <compare>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace concordat::transfer {

struct AccountId {
  std::string bank;
  std::string account;

  friend auto operator<=>(const AccountId&, const AccountId&) = default;
  template <class H>
  friend H AbslHashValue(H h, const AccountId& id) {
    return H::combine(std::move(h), id.bank, id.account);
  }
};

// The longest name of a bank, and of an account.
inline constexpr size_t kMaxAccountPartLength = 64;

// Splits the text at the first colon; the account may contain more colons.
// INVALID_ARGUMENT, with the reason: there is no colon, or a part is empty, too long or
// has control characters or blanks.
[[nodiscard]] absl::StatusOr<AccountId> ParseAccount(std::string_view text);

// "bank:account". It is also the key of the row, because several banks may share a
// resource.
[[nodiscard]] std::string ToString(const AccountId& id);
std::ostream& operator<<(std::ostream& out, const AccountId& id);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_ACCOUNT_H_
