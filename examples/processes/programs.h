// The paths of Concordat's programs, and the exit statuses of the examples.
#ifndef EXAMPLES_PROCESSES_PROGRAMS_H_
#define EXAMPLES_PROCESSES_PROGRAMS_H_

#include <string>

#include "absl/status/statusor.h"

namespace concordat::example {

// Exit statuses, from sysexits.h where it has one.
inline constexpr int kExitAgrees = 0;
inline constexpr int kExitDisagrees = 1;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitBadData = 65;
inline constexpr int kExitNoInput = 66;
inline constexpr int kExitUnavailable = 69;  // a process did not start, or ended

struct Programs {
  std::string concordatd;
  std::string concordat_rm;
};
// Looks for them in this program's folder, and where a build puts them. NOT_FOUND: the
// message names what is missing.
[[nodiscard]] absl::StatusOr<Programs> FindPrograms();

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_PROGRAMS_H_
