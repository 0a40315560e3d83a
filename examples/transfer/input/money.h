// Exact decimal amounts. Money is a number of minor units (cents, mills, ...). The Scale
// says how many decimals an amount has; it belongs to the bank, not to the amount.
//
//   const Scale scale(2);
//   absl::StatusOr<Money> money = scale.Parse("12.50");   // 1250 units
//   std::string text = scale.Format(*money);              // "12.50"
//
// Nothing is ever rounded: an amount that the scale cannot represent is refused, and a
// sum that overflows is an error.
#ifndef EXAMPLES_TRANSFER_INPUT_MONEY_H_
#define EXAMPLES_TRANSFER_INPUT_MONEY_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::transfer {

// A number of minor units. Negative for money that is paid out. Zero by default.
class Money {
 public:
  constexpr Money() = default;
  [[nodiscard]] static constexpr Money FromUnits(int64_t units) { return Money(units); }
  [[nodiscard]] constexpr int64_t units() const { return units_; }
  [[nodiscard]] constexpr bool is_zero() const { return units_ == 0; }
  [[nodiscard]] constexpr bool is_negative() const { return units_ < 0; }

  friend constexpr auto operator<=>(Money, Money) = default;

 private:
  constexpr explicit Money(int64_t units) : units_(units) {}
  int64_t units_ = 0;
};

// nullopt: the result does not fit.
[[nodiscard]] std::optional<Money> Add(Money a, Money b);
[[nodiscard]] std::optional<Money> Subtract(Money a, Money b);
[[nodiscard]] std::optional<Money> Negate(Money a);

// For messages of tests. Reports use Scale::Format.
std::ostream& operator<<(std::ostream& out, Money money);

class Scale {
 public:
  static constexpr int kMinDecimals = 2;
  static constexpr int kMaxDecimals = 4;

  // INVALID_ARGUMENT: decimals is not 2, 3 or 4.
  [[nodiscard]] static absl::StatusOr<Scale> Make(int decimals);
  // `decimals` must be 2, 3 or 4 (checked).
  explicit Scale(int decimals);

  [[nodiscard]] int decimals() const { return decimals_; }
  // How many minor units a whole one has.
  [[nodiscard]] int64_t units_per_whole() const { return units_per_whole_; }

  // Parses digits with up to decimals() of them after a point: "12", "12.5", "12.50",
  // ".5". INVALID_ARGUMENT, with the reason, for anything else: a sign, no digits, a
  // point without decimals, more decimals than the scale has (also zeros), an amount that
  // does not fit, and any other character, including blanks.
  [[nodiscard]] absl::StatusOr<Money> Parse(std::string_view text) const;

  // Prints all decimals, and '-' before a negative amount: "-0.05".
  [[nodiscard]] std::string Format(Money money) const;

 private:
  int decimals_;
  int64_t units_per_whole_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_MONEY_H_
