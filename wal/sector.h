// The smallest part of a segment: 512 bytes with a checksum and the place they belong to.
// A disk writes a sector wholly or not at all. So after a crash each sector of an
// unsynced batch is the new one or the old one, and a sector that is neither is damaged.
//
//   offset  bytes
//   0       4   CRC-32 of the log's id, the sector's index and bytes 4..511
//   4       4   generation: the number of the segment it was written for
//   8       4   index of the first sector of its batch
//   12      500 data
// All numbers of the format are little-endian.
#ifndef WAL_SECTOR_H_
#define WAL_SECTOR_H_

#include <cstdint>
#include <string_view>

namespace concordat::wal {

inline constexpr size_t kSectorBytes = 512;
inline constexpr size_t kSectorHeaderBytes = 12;
inline constexpr size_t kSectorDataBytes = kSectorBytes - kSectorHeaderBytes;

void PutU32(char* at, uint32_t value);
void PutU64(char* at, uint64_t value);
[[nodiscard]] uint32_t GetU32(const char* at);
[[nodiscard]] uint64_t GetU64(const char* at);

// Fills in the header of a sector whose data is already in place.
void SealSector(char* sector, uint64_t log_id, uint32_t index, uint32_t generation,
                uint32_t batch_first);

enum class SectorState {
  kNew,  // written whole for this generation of the segment
  kOld,  // zero, or written whole for an earlier generation: not part of the batch
  kBad,  // neither of these: damaged
};
[[nodiscard]] SectorState ClassifySector(const char* sector, uint64_t log_id,
                                         uint32_t index, uint32_t generation);

[[nodiscard]] inline uint32_t SectorGeneration(const char* sector) {
  return GetU32(sector + 4);
}
[[nodiscard]] inline uint32_t SectorBatchFirst(const char* sector) {
  return GetU32(sector + 8);
}
[[nodiscard]] inline std::string_view SectorData(const char* sector) {
  return {sector + kSectorHeaderBytes, kSectorDataBytes};
}

}  // namespace concordat::wal

#endif  // WAL_SECTOR_H_
