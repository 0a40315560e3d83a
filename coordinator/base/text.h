// Debian's Abseil has a string_view of its own, which its functions take.
#ifndef COORDINATOR_BASE_TEXT_H_
#define COORDINATOR_BASE_TEXT_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace concordat {

inline absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace concordat

#endif  // COORDINATOR_BASE_TEXT_H_
