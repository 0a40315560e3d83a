// How Raft's durable state is written as records of the log (wal/). One log serves
// all groups of a node.
//
//   type 1  hard state   group, term, vote, cluster
//   type 2  entry        group, index, term, type, data; voids what stands at its
//                        index or later
//   type 3  snapshot     group, discard flag, index, term, cluster, voters: entries
//                        up to index are void, with the flag all of them
//
// Integers are varints, a cluster is two times 8 bytes, little-endian, data is the rest
// of the record. docs/log-format.md has the frame around a record.
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
  bool discard_log = false;
  raft::SnapshotMeta meta;
};
using RaftRecord = std::variant<HardStateRecord, EntryRecord, SnapshotRecord>;

[[nodiscard]] std::string EncodeHardState(GroupId group, const raft::HardState& state);
[[nodiscard]] std::string EncodeEntry(GroupId group, const raft::Entry& entry);
[[nodiscard]] std::string EncodeSnapshot(GroupId group, bool discard_log,
                                         const raft::SnapshotMeta& meta);

// DATA_LOSS for bytes that none of the above wrote; the log's checksums were right,
// so they come from another version or program.
[[nodiscard]] absl::StatusOr<RaftRecord> DecodeRaftRecord(uint8_t type,
                                                          std::string_view payload);

// One line for operators, without the data of an entry.
[[nodiscard]] std::string DescribeRaftRecord(uint8_t type, std::string_view payload);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_RAFT_RECORDS_H_
