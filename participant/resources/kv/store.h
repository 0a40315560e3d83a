// The committed rows in memory, and the changes that a branch has not committed yet.
#ifndef PARTICIPANT_RESOURCES_KV_STORE_H_
#define PARTICIPANT_RESOURCES_KV_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"

namespace concordat::participant::kv {

// A version is the number of the log record that committed the value. It grows with every
// change, also across a deletion, and is the same after a replay.
struct Row {
  std::string value;
  uint64_t version = 0;
};

using Rows = absl::btree_map<std::string, Row, std::less<>>;

// What a branch has written: a value, or nullopt for a deletion.
using WriteSet = absl::btree_map<std::string, std::optional<std::string>, std::less<>>;

// Makes the writes visible as of `version`. A row that already has this version or a
// later one is not changed, so that a replay over a newer state changes nothing.
void Apply(const WriteSet& writes, uint64_t version, Rows* rows);

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_STORE_H_
