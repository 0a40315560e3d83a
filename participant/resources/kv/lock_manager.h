// Row and range locks with wound-wait (Rosenkrantz, Stearns and Lewis, System level
// concurrency control for distributed database systems, 1978).
//
//   LockResult result = locks.Acquire(owner, LockMode::kExclusive, key);
//   for (LockOwner* granted : locks.TakeGranted()) { … }   // after every call: who else
//   for (LockOwner* wounded : locks.TakeWounded()) { … }   // has got or lost locks
//
// An owner asks for one lock at a time:
//
//   active --Acquire--> granted
//     |         +-----> waits --(a holder lets go)--> granted
//     |                   |
//     +--(an older owner wants one of its locks)--> wounded: holds nothing any more
//     +--Harden--> hardened: keeps its exclusive locks, is never wounded, asks no more
//
// Why no deadlock lives: an owner waits only for owners that are older, or hardened.
// A hardened one waits for nobody, and "older" has no cycles. To keep it so, a request
// that conflicts with an older waiting one stands behind it, and overtakes younger
// ones. Nobody starves: new owners are younger, so those ahead become fewer. An owner
// that is restarted keeps its age.
//
// Ranges protect a scan against rows that appear in it: a range lock is shared, and
// conflicts with exclusive locks on keys inside it, whether there is a row or not.
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
  kWaits,     // will be listed by TakeGranted or TakeWounded, unless released before
  kConflict,  // with another branch of the same transaction: waiting would be for ever
};

// Keys from `from` (included) to `to` (excluded); `to` empty: to the end.
struct KeyRange {
  std::string from;
  std::string to;

  [[nodiscard]] bool Contains(std::string_view key) const {
    return key >= from && (to.empty() || key < to);
  }
  [[nodiscard]] bool Contains(const KeyRange& other) const {
    return other.from >= from && (to.empty() || (!other.to.empty() && other.to <= to));
  }
};

class LockManager;

// Who holds locks. To be derived from; the lock manager keeps pointers to it until
// Release.
class LockOwner {
 public:
  // `age`: smaller gtids are older. `order` tells owners of one age apart.
  LockOwner(const Gtid& age, const Gtid& transaction, uint64_t order)
      : age_(age), transaction_(transaction), order_(order) {}
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  [[nodiscard]] bool waiting() const { return waiting_; }
  [[nodiscard]] bool wounded() const { return wounded_; }
  // Keys and ranges that it holds.
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
    LockOwner* owner;
    LockMode mode;
  };
  struct Lock {
    absl::InlinedVector<Holder, 2> holders;
    absl::InlinedVector<LockOwner*, 2> waiters;
  };
  using LockMap = std::map<std::string, Lock, std::less<>>;
  struct Request {
    bool is_range = false;
    LockMode mode = LockMode::kShared;
    LockMap::iterator lock;  // of a key
    KeyRange range;
  };

  const Gtid age_;
  const Gtid transaction_;
  const uint64_t order_;
  bool wounded_ = false;
  bool hardened_ = false;
  bool waiting_ = false;
  Request request_;                      // while waiting
  std::vector<LockMap::iterator> held_;  // each key once
  std::vector<KeyRange> ranges_;
};

// Not thread-safe. Costs of a call: the locks it looks at; for ranges, those inside.
class LockManager {
 public:
  LockManager() = default;
  LockManager(const LockManager&) = delete;
  LockManager& operator=(const LockManager&) = delete;

  // The owner must not be waiting, wounded or hardened. A lock that is held is granted
  // again; a shared one is raised to exclusive.
  [[nodiscard]] LockResult Acquire(LockOwner* owner, LockMode mode, std::string_view key);
  [[nodiscard]] LockResult AcquireRange(LockOwner* owner, KeyRange range);

  // For an owner that is about to promise: it keeps its exclusive locks come what may,
  // and lets go of shared ones, which two-phase locking allows once nothing more will
  // be locked anywhere in the transaction.
  void Harden(LockOwner* owner);
  // A hardened owner found at recovery takes its locks again, before anybody else.
  void Restore(LockOwner* owner, std::string_view key);

  // Lets go of everything and forgets the owner.
  void Release(LockOwner* owner);

  // Owners whose waiting request was granted, and owners that were wounded, since the
  // last call, oldest first within one event.
  [[nodiscard]] std::vector<LockOwner*> TakeGranted() {
    return std::exchange(granted_, {});
  }
  [[nodiscard]] std::vector<LockOwner*> TakeWounded() {
    return std::exchange(wounded_, {});
  }
  [[nodiscard]] bool has_news() const { return !granted_.empty() || !wounded_.empty(); }

  // Keys that are locked or waited for.
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
  // What stands in the way of a request, and whom it wounds.
  struct Conflicts {
    Verdict verdict = Verdict::kFree;
    absl::InlinedVector<LockOwner*, 4> victims;
  };

  [[nodiscard]] LockResult Ask(LockOwner* owner, Request request);
  void Evaluate(const LockOwner& owner, const Request& request, Conflicts* found) const;
  void EvaluateKey(const LockOwner& owner, LockMode mode, LockMap::const_iterator lock,
                   Conflicts* found) const;
  void EvaluateRange(const LockOwner& owner, const KeyRange& range,
                     Conflicts* found) const;
  static void AgainstHolder(const LockOwner& owner, LockOwner* holder, Conflicts* found);
  static void AgainstWaiter(const LockOwner& owner, const LockOwner& waiter,
                            Conflicts* found);
  void Grant(LockOwner* owner, const Request& request);
  void Enqueue(LockOwner* owner, Request request);
  void Dequeue(LockOwner* owner);
  void StopWaiting(LockOwner* owner);
  void Wound(LockOwner* owner);
  void LetGo(LockOwner* owner, bool shared_only);
  void LetGoOfKey(LockOwner* owner, LockMap::iterator lock);
  // Those that may be grantable now.
  void Reconsider(const Lock& lock);
  void ReconsiderAll();
  void Settle();
  void EraseIfUnused(LockMap::iterator lock);

  LockMap locks_;
  LockMap::iterator pinned_ = locks_.end();  // not erased while it is being asked for
  std::vector<LockOwner*> range_holders_;
  std::set<LockOwner*, Older> waiting_;
  size_t range_waiters_ = 0;
  std::set<LockOwner*, Older> candidates_;
  std::vector<LockOwner*> granted_;
  std::vector<LockOwner*> wounded_;
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_LOCK_MANAGER_H_
