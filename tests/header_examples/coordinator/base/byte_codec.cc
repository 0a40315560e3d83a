#include "coordinator/base/byte_codec.h"

#include "absl/status/status.h"

namespace concordat {

absl::Status ByteCodecExample(uint64_t n, std::string_view name) {
  // EXAMPLE
  // EXAMPLE
  return absl::OkStatus();
}

}  // namespace concordat
