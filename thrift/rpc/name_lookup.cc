#include "thrift/rpc/name_lookup.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/system_clock.h"

namespace concordat::rpc {

namespace {

// A thread ends when it has had no work for this long.
constexpr Duration kIdle = Duration::Seconds(5);

using Dones = std::vector<NameLookup::Done>;

void TellAll(Dones* dones, const NameLookup::Found& found) {
  for (NameLookup::Done& done : *dones) done(found);
}

}  // namespace

struct NameLookup::State {
  struct Name {
    Address address;
    Dones waiting;                     // callbacks of Find
    bool under_way = false;            // queued, or being looked up by a thread
    bool slow = false;                 // the last look-up took longer than kSlow
    std::vector<SocketAddress> known;  // addresses when it was last found
    Timestamp asked_at;                // when the last look-up was queued
  };

  explicit State(Resolve r) : resolve(std::move(r)) {}

  // Puts the name into its queue. True: the caller must start a thread.
  bool Enqueue(const std::string& key, Name* name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Returns the name to look up next; empty: there is none now.
  std::string NextName() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Looks one name up. The mutex is not held during the look-up.
  void LookUp(const std::string& key);

  const Resolve resolve;
  Mutex mutex;
  ConditionVariable work;  // signals threads: a name is queued, or closed is set
  std::map<std::string, Name> names ABSL_GUARDED_BY(mutex);  // by host and port
  // Names that were not slow the last time.
  std::deque<std::string> queue ABSL_GUARDED_BY(mutex);
  // Names that were slow the last time.
  std::deque<std::string> slow_queue ABSL_GUARDED_BY(mutex);
  size_t threads ABSL_GUARDED_BY(mutex) = 0;
  size_t idle ABSL_GUARDED_BY(mutex) = 0;  // threads that wait for work
  // Threads that look up a name of slow_queue.
  size_t running_slow ABSL_GUARDED_BY(mutex) = 0;
  bool closed ABSL_GUARDED_BY(mutex) = false;

  static void RunThread(const std::shared_ptr<State>& state);
  // Called without the mutex. If there is no thread at all, calls back all waiting
  // callers with an error.
  static void StartThread(const std::shared_ptr<State>& state);
};

bool NameLookup::State::Enqueue(const std::string& key, Name* name) {
  if (name->under_way) return false;
  name->under_way = true;
  name->asked_at = SystemClock().Now();
  (name->slow ? slow_queue : queue).push_back(key);
  work.NotifyOne();
  if (queue.size() + slow_queue.size() <= idle || threads >= kMaxThreads) return false;
  ++threads;
  return true;
}

std::string NameLookup::State::NextName() {
  std::deque<std::string>* from = nullptr;
  if (!queue.empty()) {
    from = &queue;
  } else if (!slow_queue.empty() && running_slow < kMaxSlow) {
    from = &slow_queue;
  } else {
    return {};
  }
  std::string key = std::move(from->front());
  from->pop_front();
  return key;
}

void NameLookup::State::DropOldest() {
  const auto older = [](const auto& a, const auto& b) {
    if (a.second.under_way != b.second.under_way) return b.second.under_way;
    return a.second.asked_at < b.second.asked_at;
  };
  const auto oldest = std::min_element(names.begin(), names.end(), older);
  if (!oldest->second.under_way) names.erase(oldest);
}

void NameLookup::State::LookUp(const std::string& key) {
  Address address;
  bool counted_slow = false;
  {
    MutexLock lock(&mutex);
    const Name& name = names.at(key);
    address = name.address;
    counted_slow = name.slow;
    if (counted_slow) ++running_slow;
  }
  const Timestamp begin = SystemClock().Now();
  const Found found = resolve(address);
  const bool slow = SystemClock().Now() - begin > kSlow;
  Dones waiting;
  {
    MutexLock lock(&mutex);
    Name& name = names.at(key);
    if (counted_slow) --running_slow;
    name.under_way = false;
    name.slow = slow;
    // A name that cannot be found now keeps its former addresses.
    if (found.ok()) name.known = *found;
    waiting = std::exchange(name.waiting, {});
    if (closed) return;
  }
  TellAll(&waiting, found);
}

void NameLookup::State::RunThread(const std::shared_ptr<State>& state) {
  while (true) {
    std::string key;
    {
      MutexLock lock(&state->mutex);
      key = state->closed ? std::string() : state->NextName();
      if (key.empty()) {
        ++state->idle;
        const bool woken = !state->closed && state->work.WaitFor(&state->mutex, kIdle);
        --state->idle;
        if (!state->closed) key = state->NextName();
        if (key.empty() && (!woken || state->closed)) {
          --state->threads;
          return;
        }
      }
    }
    if (!key.empty()) state->LookUp(key);
  }
}

void NameLookup::State::StartThread(const std::shared_ptr<State>& state) {
  std::string why;
  try {
    std::thread([state] { RunThread(state); }).detach();
    return;
  } catch (const std::system_error& error) {
    why = error.what();
  }
  Dones waiting;
  {
    MutexLock lock(&state->mutex);
    if (--state->threads > 0) return;  // another thread will take the name
    state->queue.clear();
    state->slow_queue.clear();
    for (auto& [key, name] : state->names) {
      name.under_way = false;
      std::move(name.waiting.begin(), name.waiting.end(), std::back_inserter(waiting));
      name.waiting.clear();
    }
  }
  TellAll(&waiting, absl::ResourceExhaustedError(absl::StrCat(
                        "no thread can be started to look a name up: ", why)));
}

NameLookup& NameLookup::Shared() {
  static NameLookup* const shared =
      new NameLookup([](const Address& address) { return address.Resolve(); });
  return *shared;
}

NameLookup::NameLookup(Resolve resolve)
    : state_(std::make_shared<State>(std::move(resolve))) {}

NameLookup::~NameLookup() {
  MutexLock lock(&state_->mutex);
  state_->closed = true;
  state_->work.NotifyAll();
}

std::vector<SocketAddress> NameLookup::Cached(const Address& address) {
  std::vector<SocketAddress> known;
  bool start = false;
  {
    MutexLock lock(&state_->mutex);
    const std::string key = address.ToString();
    const auto found = state_->names.find(key);
    if (found == state_->names.end() || found->second.known.empty()) return {};
    known = found->second.known;
    if (SystemClock().Now() - found->second.asked_at >= kRefresh) {
      start = state_->Enqueue(key, &found->second);
    }
  }
  if (start) State::StartThread(state_);
  return known;
}

void NameLookup::Find(const Address& address, Done done) {
  bool start = false;
  {
    MutexLock lock(&state_->mutex);
    if (state_->names.size() >= kMaxCached) state_->DropOldest();
    const std::string key = address.ToString();
    State::Name& name = state_->names[key];
    name.address = address;
    name.waiting.push_back(std::move(done));
    start = state_->Enqueue(key, &name);
  }
  if (start) State::StartThread(state_);
}

size_t NameLookup::threads() const {
  MutexLock lock(&state_->mutex);
  return state_->threads;
}

}  // namespace concordat::rpc
