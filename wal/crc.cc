#include "wal/crc.h"

#include <zlib.h>

namespace concordat::wal {

uint32_t Crc32(uint32_t seed, std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(seed, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace concordat::wal
