// Records which branch holds which key. For one thread.
//
//   std::vector<Branch*> blockers;
//   locks.FindBlockers(*branch, want, &blockers);
//   if (blockers.empty()) locks.Grant(branch, want.key, want.mode);
//
// Keys are rows and unique tuples ("R…"), parent keys that children refer to ("K…") and
// tables ("T…"). A key may have any number of holders with compatible modes:
//
//               read   keep   write  exclusive
//   read         +      +      -      -      the table was read (serializable)
//   keep         +      +      -      -      the parent row must stay until the end
//   write        -      -      +      -      rows of the table are written
//   exclusive    -      -      -      -      the row, the tuple, or all of the table
//
// A holder may have several modes; they are bits. The branches that wait for a key are
// kept beside it, so that a release finds the oldest of them.
#ifndef PARTICIPANT_RESOURCES_SQLITE_LOCK_TABLE_H_
#define PARTICIPANT_RESOURCES_SQLITE_LOCK_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "participant/resources/sqlite/redo.h"

namespace concordat::participant::sqlite {

struct Branch;

// Stored with prepared branches, so the numbers must not change.
enum class LockMode : uint8_t { kRead = 1, kKeep = 2, kWrite = 4, kExclusive = 8 };

// The holders of one key. There is nearly always one; a table's key has as many as there
// are branches that write the table.
class LockHolders {
 public:
  // 0: the branch holds nothing.
  [[nodiscard]] uint8_t ModesOf(const Branch* branch) const;
  // 0 releases the key.
  void Set(Branch* branch, uint8_t modes);
  [[nodiscard]] bool empty() const { return first_ == nullptr && more_.empty(); }
  // Does anybody hold one of these modes? O(1).
  [[nodiscard]] bool Any(uint8_t modes) const;
  template <class OnHolder>
  void ForEach(OnHolder on_holder) const {
    if (first_ != nullptr) on_holder(first_, first_modes_);
    for (const auto& [branch, modes] : more_) on_holder(branch, modes);
  }

 private:
  void Count(uint8_t modes, int change);

  Branch* first_ = nullptr;  // the first holder, kept without a map; null: none
  uint8_t first_modes_ = 0;  // of first_
  uint32_t counts_[4] = {};  // number of holders for each bit of the mode
  absl::flat_hash_map<Branch*, uint8_t> more_;  // the other holders
};

struct LockEntry {
  LockHolders holders;
  std::vector<Branch*> waiters;  // in the order in which they came
};

using LockMap = absl::node_hash_map<std::string, LockEntry>;
using LockRef = LockMap::value_type*;  // valid while somebody holds or waits

class LockTable {
 public:
  // Adds the other branches that hold the key in a mode that is incompatible with `want`.
  void FindBlockers(const Branch& branch, const LockWant& want,
                    std::vector<Branch*>* blockers) const;
  // Also adds the key to branch->locks. No other branch may hold it in an incompatible
  // mode.
  void Grant(Branch* branch, const std::string& key, LockMode mode);

  // Releases all locks. Keys that somebody waits for are added to `freed`.
  void ReleaseAll(Branch* branch, std::vector<std::string>* freed);
  // Releases the read modes. Keys that somebody waits for are added to `freed`.
  void ReleaseReads(Branch* branch, std::vector<std::string>* freed);

  // What the branch holds, in the form to be stored.
  [[nodiscard]] std::vector<LockWant> HeldBy(const Branch& branch) const;

  void AddWaiter(Branch* branch, const std::string& key);
  void RemoveWaiter(Branch* branch, const std::string& key);
  // Null: nobody waits.
  [[nodiscard]] Branch* OldestWaiter(const std::string& key) const;
  [[nodiscard]] bool IsHeldExclusively(const std::string& key) const;

  [[nodiscard]] size_t size() const { return locks_.size(); }

 private:
  void Release(Branch* branch, LockRef ref, uint8_t keep_modes,
               std::vector<std::string>* freed);

  LockMap locks_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_LOCK_TABLE_H_
