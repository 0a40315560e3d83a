// What the library that reads flags and config files says, put so that it can be acted
// on.
#ifndef COORDINATOR_BASE_OPTION_ERRORS_H_
#define COORDINATOR_BASE_OPTION_ERRORS_H_

#include <string>
#include <string_view>

namespace concordat {

// `what` as CLI11 says it, with what to do about it where its words do not tell.
[[nodiscard]] std::string ExplainOptionError(std::string_view what);

}  // namespace concordat

#endif  // COORDINATOR_BASE_OPTION_ERRORS_H_
