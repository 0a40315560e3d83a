// The registry's records, which are replicated through the Raft log, and their bytes.
//
//   std::string bytes = EncodeRecord(RetiredRecord{"bank-a", "ann"});
//   absl::StatusOr<Record> record = DecodeRecord(bytes);
//   std::string line = Describe(*record);        // for `concordat wal dump`
//
// Bytes: version (1), kind (1), then the fields in order. Numbers are LEB128 but for
// incarnation and cluster id (8 bytes, little-endian); texts are length and bytes.
#ifndef COORDINATOR_REGISTRY_RECORD_H_
#define COORDINATOR_REGISTRY_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"

namespace concordat::registry {

// The registry's number among the state machines of a group.
inline constexpr group::MachineId kMachine{2};

inline constexpr uint8_t kRecordVersion = 1;

// Where a resource is served. A record is written when something has changed, and not for
// heartbeats.
struct ResourceRecord {
  std::string name{};
  std::string address{};      // of its participant
  std::string kind{};         // "kv", "sqlite", ...
  Incarnation incarnation{};  // of its participant
  ClusterId cluster{};        // to which it belongs
  // The id of the store in which its branches are prepared. Empty: the store has no id.
  // The name stays with this store, and another one is refused, unless an operator wants
  // it.
  std::string store{};
  bool replace_store = false;  // an operator wants this store, or this generation of it
  // The store's generation: a number that the store keeps in itself and that only grows,
  // usually milliseconds since the epoch. 0: it keeps none. A smaller one than before is
  // refused, unless an operator wants it, because a backup of the store was put back.
  uint64_t generation = 0;
  friend bool operator==(const ResourceRecord&, const ResourceRecord&) = default;
};

// Whether `wanted` would give the name to another store than the one that has it, and no
// operator wants that.
[[nodiscard]] inline bool IsAnotherStore(const ResourceRecord& known,
                                         const ResourceRecord& wanted) {
  return !known.store.empty() && known.store != wanted.store && !wanted.replace_store;
}

// Whether `wanted` is an earlier state of the store that has the name: a copy of it that
// lacks what was promised since. The store writes a generation into itself before it
// registers it, so the registry never knows a larger one than the store itself does.
[[nodiscard]] inline bool IsOlderStore(const ResourceRecord& known,
                                       const ResourceRecord& wanted) {
  return known.store == wanted.store && wanted.generation < known.generation &&
         !wanted.replace_store;
}

// The largest generation: the end of 9999-12-31.
inline constexpr uint64_t kMaxGeneration = 253'402'300'799'999;
// "2026-11-20T10:01:05.250Z"; "before it kept a generation" for 0.
[[nodiscard]] std::string GenerationText(uint64_t generation);

// A resource's name was given up. Another store may have it now.
struct RetiredRecord {
  std::string name{};  // of the resource
  std::string by{};    // the operator
  friend bool operator==(const RetiredRecord&, const RetiredRecord&) = default;
};

// The kinds of records are numbered in this order, from 1. Never change it, only add.
using Record = std::variant<ResourceRecord, RetiredRecord>;

// A text that is longer than kMaxDetailLength is a programmer's error (checked).
[[nodiscard]] std::string EncodeRecord(const Record& record);

// UNIMPLEMENTED: this program does not know the version or the kind; the entry must not
// be acknowledged, and the node must be upgraded. DATA_LOSS: the bytes are not a record.
[[nodiscard]] absl::StatusOr<Record> DecodeRecord(std::string_view bytes);

// One line for operators: "RETIRED bank-a by='ann'".
[[nodiscard]] std::string Describe(const Record& record);

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_RECORD_H_
