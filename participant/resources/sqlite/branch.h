// A branch as the writer keeps it.
//
//                 ┌────────────── wounded ─────── next call ──> over
//                 │ (an older branch took its locks)
//   Start ──> active ── Prepare ──> preparing ──> prepared ──> finishing ──> over
//               │ ^                     │             ^  │         │
//     Execute  v  │ lock free           v             │  └─────────┘
//              waiting              over (full)       └── conflict on replay: kept
//
// "preparing" and "finishing": its work is in the batch that is being written. Its locks
// are released when that batch is on disk. When another program holds the file, a
// preparing branch becomes active again.
#ifndef PARTICIPANT_RESOURCES_SQLITE_BRANCH_H_
#define PARTICIPANT_RESOURCES_SQLITE_BRANCH_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "participant/resources/sqlite/lock_table.h"
#include "participant/resources/sqlite/redo.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::sqlite {

enum class BranchState : uint8_t {
  kActive,
  kWaiting,
  kWounded,
  kPreparing,
  kPrepared,
  kFinishing
};

struct Branch {
  BranchId id;
  Gtid age;                   // of the transaction; smaller is older
  bool serializable = false;  // every table that it reads is locked
  BranchState state = BranchState::kActive;

  std::vector<Redo> redo;         // one for each call
  uint64_t redo_bytes = 0;        // including the keys that it locks
  std::vector<LockRef> locks;     // the keys that it holds
  int64_t last_insert_rowid = 0;  // what last_insert_rowid() returned after its last call
  // Store::ForeignVersion when the first part of the redo was made. It is not used for a
  // restored branch, which has voted.
  int64_t foreign_version = 0;
  int64_t slot = 0;  // its row in concordat_branches; valid once prepared

  // The Execute call under way: it is in the run queue or waits for a lock. Null: none.
  const wire::ExecuteRequest* request = nullptr;
  Callback<wire::ExecuteReply> reply;  // of the call under way; null when there is none
  Timestamp deadline = Timestamp::Infinite();  // the caller's deadline
  std::string waits_for;  // the lock key, while it waits or has just been woken
  // End of its waiting; infinite: it has not waited.
  Timestamp wait_until = Timestamp::Infinite();
  // How often the call was stopped because others waited, and when it runs again.
  uint32_t yields = 0;
  Timestamp run_at;

  [[nodiscard]] bool HasChanges() const { return !redo.empty(); }
  // True: the branch has promised nothing and may be rolled back for an older one.
  [[nodiscard]] bool CanBeWounded() const {
    return state == BranchState::kActive || state == BranchState::kWaiting;
  }
};

// The order of wound-wait: by the age of the transaction, then by branch id, so that no
// two branches are equal. KV shards order ages in the same way (kv/lock_manager.h). With
// another order, two transactions could wait for each other at two resources.
[[nodiscard]] inline bool IsOlder(const Branch& a, const Branch& b) {
  return std::tie(a.age.term, a.age.sequence, a.age.group, a.id) <
         std::tie(b.age.term, b.age.sequence, b.age.group, b.id);
}

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_BRANCH_H_
