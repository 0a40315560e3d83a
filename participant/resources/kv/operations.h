// The operations of the KV verbs without locks: each runs against the committed rows and
// the branch's own writes. Pure functions.
#ifndef PARTICIPANT_RESOURCES_KV_OPERATIONS_H_
#define PARTICIPANT_RESOURCES_KV_OPERATIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concordat_wire/participant_types.h"
#include "participant/resources/kv/lock_manager.h"
#include "participant/resources/kv/store.h"

namespace concordat::participant::kv {

struct OperationLimits {
  size_t max_key_bytes = 4096;
  size_t max_value_bytes = 512 << 10;
  size_t max_range_bytes = 512 << 10;  // keys and values of one RANGE
  // The highest limit; without a limit, more pairs are INVALID.
  int32_t max_range_pairs = 10'000;
};

// How an operation ended: OK, CONDITION_FAILED or INVALID, with a text for the caller.
struct OperationStatus {
  wire::Code::type code = wire::Code::OK;
  std::string message;  // empty with OK
  [[nodiscard]] bool ok() const { return code == wire::Code::OK; }
};

// The former value of a key, to be restored when the call fails.
struct Undo {
  std::string key;
  bool was_written = false;          // the branch had written the key before
  std::optional<std::string> value;  // what it had written; nullopt: a deletion
};
void Revert(std::vector<Undo>* undo, WriteSet* writes);

// What one branch sees: its own writes over the committed rows.
class BranchView {
 public:
  BranchView(const Rows& rows, const OperationLimits& limits, WriteSet* writes,
             std::vector<Undo>* undo)
      : rows_(rows), limits_(limits), writes_(*writes), undo_(*undo) {}

  // Checks fields and sizes before anything is locked.
  [[nodiscard]] static OperationStatus Check(const wire::KvOperation& operation,
                                             const OperationLimits& limits);
  // The part of a RANGE on which its answer will depend. It is smaller than the requested
  // range when the limit is reached earlier.
  [[nodiscard]] KeyRange RangeToLock(const wire::KvOperation& operation) const;

  // Executes the operation. Its locks must be held.
  [[nodiscard]] OperationStatus Run(const wire::KvOperation& operation,
                                    wire::KvResult* result);

 private:
  struct Found {
    const std::string* value = nullptr;  // null: there is no value
    uint64_t version = 0;                // 0: written by this branch, not committed
  };
  [[nodiscard]] Found Find(std::string_view key) const;
  void Write(const std::string& key, std::optional<std::string> value);
  OperationStatus Get(const wire::KvOperation& operation, wire::KvResult* result) const;
  OperationStatus AddIfAtLeast(const wire::KvOperation& operation,
                               wire::KvResult* result);
  OperationStatus CompareAndSet(const wire::KvOperation& operation);
  OperationStatus Range(const wire::KvOperation& operation, wire::KvResult* result) const;
  // Calls `visit` for each pair in order until it returns false.
  template <class Visitor>
  void Scan(const std::string& from, const std::string& to, Visitor visit) const;
  [[nodiscard]] int32_t LimitOf(const wire::KvOperation& operation) const;

  const Rows& rows_;  // the committed rows
  const OperationLimits& limits_;
  WriteSet& writes_;         // of the branch
  std::vector<Undo>& undo_;  // receives the former value of each key that is written
};

// Can the verb change anything?
[[nodiscard]] bool IsWrite(wire::KvVerb::type verb);

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_OPERATIONS_H_
