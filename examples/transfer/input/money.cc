#include "examples/transfer/input/money.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::transfer {

namespace {

absl::Status RefuseMoney(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("amount \"", absl::string_view(text.data(), text.size()), "\" ",
                   absl::string_view(why.data(), why.size())));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), IsDigit);
}

// Appends a decimal digit. False when it does not fit.
bool Push(int digit, int64_t* units) {
  return !__builtin_mul_overflow(*units, int64_t{10}, units) &&
         !__builtin_add_overflow(*units, int64_t{digit}, units);
}

}  // namespace

std::optional<Money> Add(Money a, Money b) {
  int64_t units = 0;
  if (__builtin_add_overflow(a.units(), b.units(), &units)) return std::nullopt;
  return Money::FromUnits(units);
}

std::optional<Money> Subtract(Money a, Money b) {
  int64_t units = 0;
  if (__builtin_sub_overflow(a.units(), b.units(), &units)) return std::nullopt;
  return Money::FromUnits(units);
}

std::optional<Money> Negate(Money a) { return Subtract(Money(), a); }

std::ostream& operator<<(std::ostream& out, Money money) {
  return out << money.units() << " units";
}

absl::StatusOr<Scale> Scale::Make(int decimals) {
  if (decimals < kMinDecimals || decimals > kMaxDecimals) {
    return absl::InvalidArgumentError(absl::StrCat("a bank keeps ", kMinDecimals, " to ",
                                                   kMaxDecimals, " decimals, not ",
                                                   decimals));
  }
  return Scale(decimals);
}

Scale::Scale(int decimals) : decimals_(decimals), units_per_whole_(1) {
  CONCORDAT_CHECK(decimals >= kMinDecimals && decimals <= kMaxDecimals)
      << decimals << " decimals";
  for (int i = 0; i < decimals; ++i) units_per_whole_ *= 10;
}

absl::StatusOr<Money> Scale::Parse(std::string_view text) const {
  if (text.empty()) return RefuseMoney(text, "is empty");
  if (text[0] == '-' || text[0] == '+') return RefuseMoney(text, "has a sign");
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view decimals =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (!AllDigits(whole) || !AllDigits(decimals))
    return RefuseMoney(text, "is not a number");
  if (point != std::string_view::npos && decimals.empty()) {
    return RefuseMoney(text, "has a point and no decimals");
  }
  if (decimals.size() > static_cast<size_t>(decimals_)) {
    return RefuseMoney(text, absl::StrCat("has more than ", decimals_, " decimals"));
  }

  int64_t units = 0;
  bool fits = true;
  for (const char c : whole) fits = fits && Push(c - '0', &units);
  for (size_t i = 0; i < static_cast<size_t>(decimals_); ++i) {
    fits = fits && Push(i < decimals.size() ? decimals[i] - '0' : 0, &units);
  }
  if (!fits) return RefuseMoney(text, "is too large");
  return Money::FromUnits(units);
}

std::string Scale::Format(Money money) const {
  // In unsigned arithmetic the lowest number has an absolute value too.
  const auto units = static_cast<uint64_t>(money.units());
  const uint64_t size = money.is_negative() ? 0 - units : units;
  const auto per_whole = static_cast<uint64_t>(units_per_whole_);
  std::string decimals = std::to_string(size % per_whole);
  decimals.insert(0, static_cast<size_t>(decimals_) - decimals.size(), '0');
  return absl::StrCat(money.is_negative() ? "-" : "", size / per_whole, ".", decimals);
}

}  // namespace concordat::transfer
