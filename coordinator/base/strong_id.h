// StrongId<Tag, Rep>: an integer without implicit conversions.
//
//   using Term = StrongId<struct TermTag, uint64_t>;
//   constexpr Term term(3);
//   static_assert(term.value() == 3 && term.Next() == Term(4));
//
// It can be compared, hashed (absl and std) and printed. Zero means "none" by convention.
#ifndef COORDINATOR_BASE_STRONG_ID_H_
#define COORDINATOR_BASE_STRONG_ID_H_

#include <compare>
#include <cstddef>
#include <functional>
#include <ostream>
#include <utility>

namespace concordat {

template <class Tag, class Rep>
class StrongId {
 public:
  using ValueType = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr bool is_none() const { return value_ == Rep{}; }
  [[nodiscard]] constexpr StrongId Next() const {
    return StrongId(static_cast<Rep>(value_ + 1));
  }
  // The predecessor; none for none.
  [[nodiscard]] constexpr StrongId Previous() const {
    return is_none() ? *this : StrongId(static_cast<Rep>(value_ - 1));
  }

  friend constexpr auto operator<=>(StrongId, StrongId) = default;

  template <class H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongId id) {
    return out << +id.value_;
  }

 private:
  Rep value_{};
};

}  // namespace concordat

template <class Tag, class Rep>
struct std::hash<concordat::StrongId<Tag, Rep>> {
  std::size_t operator()(concordat::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};

#endif  // COORDINATOR_BASE_STRONG_ID_H_
