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

// The registry among the state machines of a group.
inline constexpr group::MachineId kMachine{2};

inline constexpr uint8_t kRecordVersion = 1;

// Where a resource is served. Written when something changed, not for heartbeats.
struct ResourceRecord {
  std::string name{};
  std::string address{};
  std::string kind{};  // "kv", "sqlite", ...
  Incarnation incarnation{};
  ClusterId cluster{};
  // Which store serves it: the same for as long as the name holds what was prepared in
  // it. Empty: the store has no identity of its own. Another store is refused, unless
  // the record says that an operator wants it so.
  std::string store{};
  bool replace_store = false;
  // How far the store has come: a number that it keeps in itself and that only grows,
  // milliseconds since the epoch as a rule. 0: it keeps none. One that has gone back
  // is refused, unless an operator wants it so: a backup of the store was put back.
  uint64_t generation = 0;
  friend bool operator==(const ResourceRecord&, const ResourceRecord&) = default;
};

// Whether `wanted` takes the name away from the store that has it, without leave.
[[nodiscard]] inline bool IsAnotherStore(const ResourceRecord& known,
                                         const ResourceRecord& wanted) {
  return !known.store.empty() && known.store != wanted.store && !wanted.replace_store;
}

// Whether `wanted` is the store that has the name, as it was earlier: a copy of it that
// lacks what was promised since. The store writes a generation into itself before it
// tells anybody, so that the registry never knows a larger one than the store itself.
[[nodiscard]] inline bool IsOlderStore(const ResourceRecord& known,
                                       const ResourceRecord& wanted) {
  return known.store == wanted.store && wanted.generation < known.generation &&
         !wanted.replace_store;
}

// No clock says more: 9999-12-31.
inline constexpr uint64_t kMaxGeneration = 253'402'300'799'999;
// "2026-11-20T10:01:05.250Z"; "before it kept a generation" for 0.
[[nodiscard]] std::string GenerationText(uint64_t generation);

// A resource's name is given up: its place and its name are free for another store.
struct RetiredRecord {
  std::string name{};
  std::string by{};  // who says so
  friend bool operator==(const RetiredRecord&, const RetiredRecord&) = default;
};

// Their kinds are numbered in this order, from 1: never change it, only add.
using Record = std::variant<ResourceRecord, RetiredRecord>;

// A text that is longer than kMaxDetailLength is a programmer's error (checked).
[[nodiscard]] std::string EncodeRecord(const Record& record);

// UNIMPLEMENTED for a version or kind that this program does not know: do not
// acknowledge the entry, upgrade the node. DATA_LOSS for bytes that are none of ours.
[[nodiscard]] absl::StatusOr<Record> DecodeRecord(std::string_view bytes);

// One line for operators: "RETIRED bank-a by='ann'".
[[nodiscard]] std::string Describe(const Record& record);

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_RECORD_H_
