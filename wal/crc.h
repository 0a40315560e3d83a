// The checksum of the log: the CRC-32 of zlib. It detects every single flipped bit and
// every burst of up to 32 bits.
#ifndef WAL_CRC_H_
#define WAL_CRC_H_

#include <cstdint>
#include <string_view>

namespace concordat::wal {

// Continues the checksum `seed` over `bytes`. A new checksum begins with 0.
[[nodiscard]] uint32_t Crc32(uint32_t seed, std::string_view bytes);

}  // namespace concordat::wal

#endif  // WAL_CRC_H_
