// The checksum of the log: CRC-32 as zlib has it. Finds every single flipped bit and
// every burst of up to 32.
#ifndef WAL_CRC_H_
#define WAL_CRC_H_

#include <cstdint>
#include <string_view>

namespace concordat::wal {

// Continues `seed` over `bytes`; 0 starts anew.
[[nodiscard]] uint32_t Crc32(uint32_t seed, std::string_view bytes);

}  // namespace concordat::wal

#endif  // WAL_CRC_H_
