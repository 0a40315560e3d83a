// Turns the error messages of CLI11, which reads flags and config files, into messages
// that say what to do.
#ifndef COORDINATOR_BASE_OPTION_ERRORS_H_
#define COORDINATOR_BASE_OPTION_ERRORS_H_

#include <string>
#include <string_view>

namespace concordat {

// `what` is the message of CLI11. Where it does not say what to do, advice is added.
[[nodiscard]] std::string ExplainOptionError(std::string_view what);

}  // namespace concordat

#endif  // COORDINATOR_BASE_OPTION_ERRORS_H_
