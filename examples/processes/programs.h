// Where Concordat's programs are, and how an example ends.
#ifndef EXAMPLES_PROCESSES_PROGRAMS_H_
#define EXAMPLES_PROCESSES_PROGRAMS_H_

#include <string>

#include "absl/status/statusor.h"

namespace concordat::example {

// Exit statuses, as sysexits.h has them where it has them.
inline constexpr int kExitAgrees = 0;
inline constexpr int kExitDisagrees = 1;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitBadData = 65;
inline constexpr int kExitNoInput = 66;
inline constexpr int kExitUnavailable = 69;  // a process did not start, or ended

struct Programs {
  std::string concordatd;
  std::string concordat_rm;
  std::string concordat;
};
// Beside this program: in its folder, or where a build puts them. NOT_FOUND names what
// is missing.
[[nodiscard]] absl::StatusOr<Programs> FindPrograms();

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_PROGRAMS_H_
