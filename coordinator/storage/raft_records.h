// Raft's durable state as records of the write-ahead log (wal/). One log serves all
// groups of a node.
//
//   type 1  hard state   group, term, vote, cluster
//   type 2  entry        group, index, term, type, data; voids stored entries at its
//                        index and later
//   type 3  snapshot     group, discard flag, index, term, configuration; voids
//                        entries up to its index, with the flag all entries
//
// Integers are varints, a cluster is twice 8 bytes in little-endian order, and the data
// is the rest of the record. docs/log-format.md describes the frame around a record.
#ifndef COORDINATOR_STORAGE_RAFT_RECORDS_H_
#define COORDINATOR_STORAGE_RAFT_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::storage {

enum class RecordType : uint8_t { kHardState = 1, kEntry = 2, kSnapshot = 3 };

struct HardStateRecord {
  GroupId group;
  raft::HardState state;
};
struct EntryRecord {
  GroupId group;
  raft::Entry entry;
};
struct SnapshotRecord {
  GroupId group;
  bool discard_log = false;  // as Persist::discard_log
  raft::SnapshotMeta meta;
};
using RaftRecord = std::variant<HardStateRecord, EntryRecord, SnapshotRecord>;

[[nodiscard]] std::string EncodeHardState(GroupId group, const raft::HardState& state);
[[nodiscard]] std::string EncodeEntry(GroupId group, const raft::Entry& entry);
[[nodiscard]] std::string EncodeSnapshot(GroupId group, bool discard_log,
                                         const raft::SnapshotMeta& meta);

// DATA_LOSS for bytes that none of the functions above has written. The log's checksums
// were right, so the bytes come from another version or program.
[[nodiscard]] absl::StatusOr<RaftRecord> DecodeRaftRecord(uint8_t type,
                                                          std::string_view payload);

// One line for `concordat wal dump`, without the data of an entry.
[[nodiscard]] std::string DescribeRaftRecord(uint8_t type, std::string_view payload);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_RAFT_RECORDS_H_
