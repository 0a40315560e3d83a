// A branch as the writer sees it.
//
//                 ┌────────────── wounded ─────── next call ──> over
//                 │ (an older branch took its locks)
//   Start ──> active ── Prepare ──> preparing ──> prepared ──> finishing ──> over
//               │ ^                     │             ^  │         │
//     Execute  v  │ lock free           v             │  └─────────┘
//              waiting              over (full)       └── conflict on replay: kept
//
// "preparing" and "finishing": its work is in the batch that is being written. Locks
// are let go when that batch is on disk.
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
  Gtid age;
  bool serializable = false;
  BranchState state = BranchState::kActive;

  std::vector<Redo> redo;   // one a call
  uint64_t redo_bytes = 0;  // with those of the keys it locks
  std::vector<LockRef> locks;
  int64_t last_insert_rowid = 0;
  // Store::ForeignVersion when the first of the redo was made. Of a restored branch it
  // does not matter: it has voted.
  int64_t foreign_version = 0;
  int64_t slot = 0;  // its row in concordat_branches, once prepared

  // The Execute under way: in the run queue or waiting for a lock.
  const wire::ExecuteRequest* request = nullptr;
  Callback<wire::ExecuteReply> reply;
  Timestamp deadline = Timestamp::Infinite();  // the caller's
  std::string waits_for;  // the lock key, while it waits or has just been woken
  Timestamp wait_until = Timestamp::Infinite();  // for a lock, or to get on
  // Of a call that was stopped for others' sake: how often, and when it runs anew.
  uint32_t yields = 0;
  Timestamp run_at;

  [[nodiscard]] bool HasChanges() const { return !redo.empty(); }
  // Has not promised anything: may be rolled back for an older one's sake.
  [[nodiscard]] bool CanBeWounded() const {
    return state == BranchState::kActive || state == BranchState::kWaiting;
  }
};

// Wound-wait's order: by the age of the transaction, then by branch id, so that no two
// branches are equal. KV shards have the same order of ages (kv/lock_manager.h): were it
// another one, two transactions could wait for each other at two resources.
[[nodiscard]] inline bool IsOlder(const Branch& a, const Branch& b) {
  return std::tie(a.age.term, a.age.sequence, a.age.group, a.id) <
         std::tie(b.age.term, b.age.sequence, b.age.group, b.id);
}

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_BRANCH_H_
