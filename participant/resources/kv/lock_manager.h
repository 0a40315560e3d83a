// Row and range locks with wound-wait (Rosenkrantz, Stearns and Lewis, System level
// concurrency control for distributed database systems, 1978).
//
//   LockResult result = locks.Acquire(owner, LockMode::kExclusive, key);
//   // After every call: which other owners got or lost locks.
//   for (LockOwner* granted : locks.TakeGranted()) { … }
//   for (LockOwner* wounded : locks.TakeWounded()) { … }
//
// An owner asks for one lock at a time:
//
//   active --Acquire--> granted
//     |         +-----> waits --(a holder releases its lock)--> granted
//     |                   |
//     +--(an older owner needs one of its locks)--> wounded: holds no locks any more
//     +--Harden--> hardened: keeps its exclusive locks, is never wounded, acquires none
//
// There is no deadlock, because an owner waits only for owners that are older or
// hardened. A hardened owner waits for nobody, and "older" has no cycles. To keep this
// so, a request that conflicts with an older waiting request waits after it, and it
// overtakes younger ones. No owner starves: new owners are younger, so there are ever
// fewer older ones. An owner that is restarted keeps its age.
//
// A range lock protects a scan against rows that appear in the range. It is shared, and
// conflicts with exclusive locks on keys inside the range, whether there is a row or not.
#ifndef PARTICIPANT_RESOURCES_KV_LOCK_MANAGER_H_
#define PARTICIPANT_RESOURCES_KV_LOCK_MANAGER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "coordinator/base/xid.h"

namespace concordat::participant::kv {

enum class LockMode : uint8_t { kShared, kExclusive };

enum class LockResult : uint8_t {
  kGranted,
  // TakeGranted or TakeWounded will return the owner, unless it is released before.
  kWaits,
  kConflict,  // another branch of the same transaction holds it: waiting would never end
};

// Keys from `from` (included) to `to` (excluded). An empty `to` means the end of all
// keys.
struct KeyRange {
  std::string from;  // included
  std::string to;    // empty: the end of all keys

  [[nodiscard]] bool Contains(std::string_view key) const {
    return key >= from && (to.empty() || key < to);
  }
  [[nodiscard]] bool Contains(const KeyRange& other) const {
    return other.from >= from && (to.empty() || (!other.to.empty() && other.to <= to));
  }
};

class LockManager;

// Base class of an object that holds locks. The lock manager keeps pointers to it until
// Release.
class LockOwner {
 public:
  // `age`: smaller gtids are older. `order` distinguishes owners of the same age.
  LockOwner(const Gtid& age, const Gtid& transaction, uint64_t order)
      : age_(age), transaction_(transaction), order_(order) {}
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  [[nodiscard]] bool waiting() const { return waiting_; }
  [[nodiscard]] bool wounded() const { return wounded_; }
  // Number of keys and ranges that it holds.
  [[nodiscard]] size_t lock_count() const { return held_.size() + ranges_.size(); }
  [[nodiscard]] bool IsOlderThan(const LockOwner& other) const {
    return std::tie(age_.term, age_.sequence, age_.group, order_) <
           std::tie(other.age_.term, other.age_.sequence, other.age_.group, other.order_);
  }

 protected:
  ~LockOwner() = default;

 private:
  friend class LockManager;
  struct Holder {
    LockOwner* owner;  // not owned
    LockMode mode;
  };
  struct Lock {
    // One with kExclusive, or any number with kShared.
    absl::InlinedVector<Holder, 2> holders;
    absl::InlinedVector<LockOwner*, 2> waiters;  // owners whose request is for this key
  };
  using LockMap = std::map<std::string, Lock, std::less<>>;
  struct Request {
    bool is_range = false;  // the request is for `range`, otherwise for `lock`
    LockMode mode = LockMode::kShared;
    LockMap::iterator lock;  // of a key; not of a range
    KeyRange range;
  };

  const Gtid age_;          // smaller is older
  const Gtid transaction_;  // owners of one transaction never wait for each other
  const uint64_t order_;    // distinguishes owners of the same age
  bool wounded_ = false;    // holds no locks; only Release may follow
  bool hardened_ = false;   // see LockManager::Harden
  bool waiting_ = false;    // has a request that is not granted
  Request request_;         // valid while waiting_
  std::vector<LockMap::iterator> held_;  // each key once
  std::vector<KeyRange> ranges_;         // the ranges that it holds
};

// Not thread-safe. A call costs as much as the locks it looks at; for ranges, the locks
// inside the range.
class LockManager {
 public:
  LockManager() = default;
  LockManager(const LockManager&) = delete;
  LockManager& operator=(const LockManager&) = delete;

  // The owner must not be waiting, wounded or hardened. A lock that the owner holds
  // already is granted again; a shared lock is raised to an exclusive one.
  [[nodiscard]] LockResult Acquire(LockOwner* owner, LockMode mode, std::string_view key);
  [[nodiscard]] LockResult AcquireRange(LockOwner* owner, KeyRange range);

  // For an owner that is about to vote: from now on it keeps its exclusive locks in any
  // case. It releases its shared locks, which two-phase locking allows because no branch
  // of the transaction will acquire another lock.
  void Harden(LockOwner* owner);
  // At recovery, a hardened owner takes its locks again before any other owner acquires
  // one.
  void Restore(LockOwner* owner, std::string_view key);

  // Releases all locks and forgets the owner.
  void Release(LockOwner* owner);

  // The owners whose waiting request was granted, and the owners that were wounded, since
  // the last call. Within one event the oldest comes first.
  [[nodiscard]] std::vector<LockOwner*> TakeGranted() {
    return std::exchange(granted_, {});
  }
  [[nodiscard]] std::vector<LockOwner*> TakeWounded() {
    return std::exchange(wounded_, {});
  }
  [[nodiscard]] bool has_events() const { return !granted_.empty() || !wounded_.empty(); }

  // Number of keys that are locked or waited for.
  [[nodiscard]] size_t size() const { return locks_.size(); }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

 private:
  using Lock = LockOwner::Lock;
  using LockMap = LockOwner::LockMap;
  using Request = LockOwner::Request;
  using Holder = LockOwner::Holder;
  struct Older {
    bool operator()(const LockOwner* a, const LockOwner* b) const {
      return a->IsOlderThan(*b);
    }
  };
  enum class Verdict : uint8_t { kFree, kBlocked, kSibling };
  // The result of comparing a request with the locks: whether something blocks it, and
  // which owners it wounds.
  struct Conflicts {
    Verdict verdict = Verdict::kFree;
    // Younger owners that hold conflicting locks.
    absl::InlinedVector<LockOwner*, 4> victims;
  };

  [[nodiscard]] LockResult Ask(LockOwner* owner, Request request);
  void Evaluate(const LockOwner& owner, const Request& request, Conflicts* found) const;
  void EvaluateKey(const LockOwner& owner, LockMode mode, LockMap::const_iterator lock,
                   Conflicts* found) const;
  void EvaluateRange(const LockOwner& owner, const KeyRange& range,
                     Conflicts* found) const;
  static void CheckHolder(const LockOwner& owner, LockOwner* holder, Conflicts* found);
  static void CheckWaiter(const LockOwner& owner, const LockOwner& waiter,
                          Conflicts* found);
  void Grant(LockOwner* owner, const Request& request);
  void Enqueue(LockOwner* owner, Request request);
  void Dequeue(LockOwner* owner);
  void StopWaiting(LockOwner* owner);
  void Wound(LockOwner* owner);
  void ReleaseLocks(LockOwner* owner, bool shared_only);
  void ReleaseKey(LockOwner* owner, LockMap::iterator lock);
  // Marks the requests that may be grantable now.
  void Reconsider(const Lock& lock);
  void ReconsiderAll();
  void EvaluateCandidates();
  void EraseIfUnused(LockMap::iterator lock);

  LockMap locks_;  // every key that is locked or waited for
  // The key of the request that is being evaluated; it is not erased.
  LockMap::iterator pinned_ = locks_.end();
  std::vector<LockOwner*> range_holders_;   // owners with range locks
  std::set<LockOwner*, Older> waiting_;     // oldest first
  size_t range_waiters_ = 0;                // how many of waiting_ wait for a range
  std::set<LockOwner*, Older> candidates_;  // waiting owners to evaluate again
  std::vector<LockOwner*> granted_;         // see TakeGranted
  std::vector<LockOwner*> wounded_;         // see TakeWounded
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_LOCK_MANAGER_H_
