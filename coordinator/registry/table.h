// ResourceTable: the state that results from the registry's log-committed records. It is
// deterministic: every node that has applied the same records has the same table, byte
// for byte.
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
  kRegistered,       // the resource is new, or something of it has changed
  kGenerationGrown,  // only its store's generation has changed
  kRetired,          // the resource was removed
  // These have changed nothing:
  kUnchanged,   // the table said so before; for RETIRED: there is no such name
  kOtherStore,  // the name belongs to another store
  kOlderStore,  // the store is an old copy of the one that has the name
  kInUse,       // a transaction that is not over has a branch at the resource
};

class ResourceTable {
 public:
  using Resources = std::map<std::string, ResourceRecord>;  // by name

  ResourceTable() : resources_(Resources(), snapshots_) {}
  ResourceTable(ResourceTable&&) = default;
  ResourceTable& operator=(ResourceTable&&) = default;

  // Applies the log-committed record at `index`. Indexes grow (checked), but not always
  // by one, since other entries of the log are not the registry's. `users` has applied
  // everything before this index.
  Effect Apply(LogIndex index, const Record& record, const ResourceUsers& users);

  [[nodiscard]] LogIndex last_applied() const { return last_applied_; }
  [[nodiscard]] const Resources& resources() const { return *resources_; }
  // Null: there is no such name. Valid until the next Apply.
  [[nodiscard]] const ResourceRecord* Find(const std::string& name) const;

  // A running digest of all records that were applied and of their effects. It is equal
  // on all nodes at the same index, and is a part of snapshots.
  [[nodiscard]] uint64_t Hash() const { return hash_.value(); }

  // The snapshot shares the resources with the table, which copies them when they change.
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot();

 private:
  friend class TableRestore;

  Effect Put(const ResourceRecord& record);
  Effect Retire(const RetiredRecord& record, const ResourceUsers& users);

  LogIndex last_applied_;             // of the last record
  RunningHash hash_;                  // see Hash
  uint64_t snapshots_ = 0;            // how many were taken
  CopyOnWrite<Resources> resources_;  // shared with the last snapshots
};

// A table that is put together from the portions of a snapshot.
class TableRestore {
 public:
  // The snapshot is said to hold what was committed up to and including entry `at`.
  explicit TableRestore(LogIndex at) : at_(at) {}

  // See group::SnapshotRestore, also for the errors.
  [[nodiscard]] absl::Status Append(std::string_view portion);
  [[nodiscard]] absl::Status Finish();
  // To be called after Finish.
  [[nodiscard]] ResourceTable& table() { return table_; }

 private:
  const LogIndex at_;    // see the constructor
  ResourceTable table_;  // what the portions have brought so far
  // The number of all resources, as the portions say. None: there was no portion yet.
  std::optional<uint64_t> count_;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_TABLE_H_
