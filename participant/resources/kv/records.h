// The records of the KV shard's log, and how branches and writes are encoded in them
// and in checkpoints.
//
//   type           payload           meaning
//   1 prepared     branch, writes    the branch will commit or roll back as it is told
//   2 committed    branch            a prepared branch; the record is its evidence
//   3 alone        branch, writes    committed in one phase; it is evidence too
//   4 rolled back  branch            a prepared branch
//
// branch  as coordinator/base/xid.h encodes it
// writes  varint count; each: key bytes, u8 1 and value bytes, or u8 0 for a deletion
#ifndef PARTICIPANT_RESOURCES_KV_RECORDS_H_
#define PARTICIPANT_RESOURCES_KV_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/base/byte_codec.h"
#include "coordinator/base/xid.h"
#include "participant/resources/kv/store.h"

namespace concordat::participant::kv {

enum class RecordType : uint8_t {
  kPrepared = 1,
  kCommitted = 2,
  kCommittedAlone = 3,
  kRolledBack = 4,
};

void Encode(const WriteSet& writes, ByteWriter* out);
[[nodiscard]] WriteSet DecodeWrites(ByteReader* in);

[[nodiscard]] std::string BranchRecord(const BranchId& branch);
[[nodiscard]] std::string BranchRecord(const BranchId& branch, const WriteSet& writes);

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_RECORDS_H_
