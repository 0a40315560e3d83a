#include "coordinator/base/version.h"

namespace concordat {

std::string Version() { return CONCORDAT_VERSION; }

}  // namespace concordat
