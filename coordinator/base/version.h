// The version of this build, as the top-level CMakeLists.txt has it.
#ifndef COORDINATOR_BASE_VERSION_H_
#define COORDINATOR_BASE_VERSION_H_

#include <string>

namespace concordat {

// "0.1.0"
[[nodiscard]] std::string Version();

}  // namespace concordat

#endif  // COORDINATOR_BASE_VERSION_H_
