#include "wal/sector.h"

#include <algorithm>

#include "wal/crc.h"

namespace concordat::wal {
namespace {

uint32_t SectorCrc(const char* sector, uint64_t log_id, uint32_t index) {
  char place[12];
  PutU64(place, log_id);
  PutU32(place + 8, index);
  return Crc32(Crc32(0, {place, sizeof(place)}), {sector + 4, kSectorBytes - 4});
}

bool IsZero(const char* sector) {
  return std::all_of(sector, sector + kSectorBytes, [](char c) { return c == 0; });
}

}  // namespace

void PutU32(char* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

void PutU64(char* at, uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

uint32_t GetU32(const char* at) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(at[i]);
  return value;
}

uint64_t GetU64(const char* at) {
  return static_cast<uint64_t>(GetU32(at + 4)) << 32 | GetU32(at);
}

void SealSector(char* sector, uint64_t log_id, uint32_t index, uint32_t generation,
                uint32_t batch_first) {
  PutU32(sector + 4, generation);
  PutU32(sector + 8, batch_first);
  PutU32(sector, SectorCrc(sector, log_id, index));
}

SectorState ClassifySector(const char* sector, uint64_t log_id, uint32_t index,
                           uint32_t generation) {
  const uint32_t written_for = SectorGeneration(sector);
  if (written_for == 0) return IsZero(sector) ? SectorState::kOld : SectorState::kBad;
  if (written_for > generation) return SectorState::kBad;
  if (GetU32(sector) != SectorCrc(sector, log_id, index)) return SectorState::kBad;
  return written_for == generation ? SectorState::kNew : SectorState::kOld;
}

}  // namespace concordat::wal
