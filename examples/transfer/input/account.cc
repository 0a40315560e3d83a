#include "examples/transfer/input/account.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

absl::Status Refuse(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("account \"", absl::string_view(text.data(), text.size()), "\" ",
                   absl::string_view(why.data(), why.size())));
}

// Bytes above 0x7f belong to UTF-8 and are welcome.
bool IsBlankOrControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f;
}

}  // namespace

absl::StatusOr<AccountId> ParseAccount(std::string_view text) {
  if (text.empty()) return Refuse(text, "is empty");
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Refuse(text, "has no colon");
  const std::string_view bank = text.substr(0, colon);
  const std::string_view account = text.substr(colon + 1);
  if (bank.empty()) return Refuse(text, "names no bank");
  if (account.empty()) return Refuse(text, "names no account");
  if (bank.size() > kMaxAccountPartLength || account.size() > kMaxAccountPartLength) {
    return Refuse(text, "is too long");
  }
  if (std::any_of(text.begin(), text.end(), IsBlankOrControl)) {
    return Refuse(text, "has blanks or control characters");
  }
  return AccountId{std::string(bank), std::string(account)};
}

std::string ToString(const AccountId& id) {
  return absl::StrCat(id.bank, ":", id.account);
}

std::ostream& operator<<(std::ostream& out, const AccountId& id) {
  return out << ToString(id);
}

}  // namespace concordat::transfer
