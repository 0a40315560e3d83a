#include "examples/transfer/input/account.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

absl::Status RefuseAccount(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("account \"", absl::string_view(text.data(), text.size()), "\" ",
                   absl::string_view(why.data(), why.size())));
}

// Bytes above 0x7f are part of UTF-8, and are allowed.
bool IsBlankOrControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f;
}

}  // namespace

absl::StatusOr<AccountId> ParseAccount(std::string_view text) {
  if (text.empty()) return RefuseAccount(text, "is empty");
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return RefuseAccount(text, "has no colon");
  const std::string_view bank = text.substr(0, colon);
  const std::string_view account = text.substr(colon + 1);
  if (bank.empty()) return RefuseAccount(text, "names no bank");
  if (account.empty()) return RefuseAccount(text, "names no account");
  if (bank.size() > kMaxAccountPartLength || account.size() > kMaxAccountPartLength) {
    return RefuseAccount(text, "is too long");
  }
  if (std::any_of(text.begin(), text.end(), IsBlankOrControl)) {
    return RefuseAccount(text, "has blanks or control characters");
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
