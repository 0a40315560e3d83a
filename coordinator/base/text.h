// Converts to Abseil's string_view, which in Debian's package is a type of its own.
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
