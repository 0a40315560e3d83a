// The version of this build, from the top-level CMakeLists.txt.
#ifndef COORDINATOR_BASE_VERSION_H_
#define COORDINATOR_BASE_VERSION_H_

#include <string>

namespace concordat {

// For example "0.1.0".
[[nodiscard]] std::string Version();

}  // namespace concordat

#endif  // COORDINATOR_BASE_VERSION_H_
