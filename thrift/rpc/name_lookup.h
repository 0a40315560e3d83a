// Looks names of hosts up, on a few threads that all channels of a process share. A
// look-up may hang for half a minute: then it is known for how many threads, those who
// ask for the same name wait for the same answer, and what a name stood for last goes on
// being used.
//
//   std::vector<SocketAddress> known = NameLookup::Shared().Cached(address);
//   if (known.empty()) NameLookup::Shared().Find(address, [](const Found& found) {...});
//
// Thread-safe.
#ifndef THRIFT_RPC_NAME_LOOKUP_H_
#define THRIFT_RPC_NAME_LOOKUP_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "thrift/rpc/address.h"

namespace concordat::rpc {

class NameLookup {
 public:
  using Found = absl::StatusOr<std::vector<SocketAddress>>;
  // Blocks, for as long as it likes.
  using Resolve = std::function<Found(const Address&)>;
  using Done = absl::AnyInvocable<void(const Found&)>;

  static constexpr size_t kMaxThreads = 8;
  // Names that took long last time may hold so many of the threads.
  static constexpr size_t kMaxSlow = 6;
  static constexpr Duration kSlow = Duration::Seconds(1);
  // What is known is asked for again, at most so often.
  static constexpr Duration kRefresh = Duration::Seconds(1);
  static constexpr size_t kMaxCached = 4096;

  // The process's own, with the system's resolver. Never destroyed.
  static NameLookup& Shared();
  // Look-ups under way go on after the end of this object, and nobody is told.
  explicit NameLookup(Resolve resolve);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // What the name stood for when it was last found; empty: never. Also has it looked up
  // anew, for the next time.
  [[nodiscard]] std::vector<SocketAddress> Cached(const Address& address);
  // `done` runs once, on a thread of the look-up, or at once when no thread can be
  // started (RESOURCE_EXHAUSTED). It must not block.
  void Find(const Address& address, Done done);

  // Threads that there are now.
  [[nodiscard]] size_t threads() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the threads
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_NAME_LOOKUP_H_
