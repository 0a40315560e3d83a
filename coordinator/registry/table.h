// ResourceTable: what the registry's log-committed records add up to. Deterministic:
// every node that applied the same records has the same table, byte for byte.
//
//   ResourceTable table;
//   Effect effect = table.Apply(index, record, users);   // what became true, or why not
//   table.resources().at("bank-a").address;
//
//   (free) --RESOURCE--> registered --RETIRED, nobody uses it--> (free)
//                          |      ^
//                          \------/ RESOURCE of the same store, as new or newer
#ifndef COORDINATOR_REGISTRY_TABLE_H_
#define COORDINATOR_REGISTRY_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "coordinator/base/copy_on_write.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/running_hash.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/registry/record.h"
#include "coordinator/registry/resource_users.h"

namespace concordat::registry {

// What a record did.
enum class Effect : uint8_t {
  kRegistered,       // a new resource, or something of it is new
  kGenerationGrown,  // nothing else of it is new
  kRetired,
  // The others changed nothing:
  kUnchanged,   // the record says what the table says; to retire: there is no such name
  kOtherStore,  // the name belongs to another store
  kOlderStore,  // an old copy of the store that has the name
  kInUse,       // a transaction that is not over has a branch at the resource
};

class ResourceTable {
 public:
  using Resources = std::map<std::string, ResourceRecord>;  // by name

  ResourceTable() : resources_(Resources(), snapshots_) {}
  ResourceTable(ResourceTable&&) = default;
  ResourceTable& operator=(ResourceTable&&) = default;

  // Applies the log-committed record at `index`. Indexes grow, not necessarily by one
  // (checked): other entries of the log are not the registry's. `users` has applied
  // everything before it.
  Effect Apply(LogIndex index, const Record& record, const ResourceUsers& users);

  [[nodiscard]] LogIndex last_applied() const { return last_applied_; }
  [[nodiscard]] const Resources& resources() const { return *resources_; }
  // Null: there is no such name. Valid until Apply.
  [[nodiscard]] const ResourceRecord* Find(const std::string& name) const;

  // A running digest of all that was applied and what became of it. Equal on every node
  // at the same index; carried along by snapshots.
  [[nodiscard]] uint64_t Hash() const { return hash_.value(); }

  // It shares the resources, which are copied when they change.
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot();

 private:
  friend class TableRestore;

  Effect Put(const ResourceRecord& record);
  Effect Retire(const RetiredRecord& record, const ResourceUsers& users);

  LogIndex last_applied_;
  RunningHash hash_;
  uint64_t snapshots_ = 0;  // how many were taken
  CopyOnWrite<Resources> resources_;
};

// A table that is put together from the portions of a snapshot.
class TableRestore {
 public:
  // The snapshot is said to hold what was committed up to entry `at`.
  explicit TableRestore(LogIndex at) : at_(at) {}

  // As group::SnapshotRestore's, with its errors.
  [[nodiscard]] absl::Status Append(std::string_view portion);
  [[nodiscard]] absl::Status Finish();
  // After Finish.
  [[nodiscard]] ResourceTable& table() { return table_; }

 private:
  const LogIndex at_;
  ResourceTable table_;
  std::optional<uint64_t> count_;  // of all resources, as the portions say
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_TABLE_H_
