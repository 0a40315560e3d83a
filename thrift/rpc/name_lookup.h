// Looks up host names on a few threads that all channels of a process share. A look-up
// may hang for half a minute. Therefore the number of threads is limited, callers that
// ask for the same name wait for the same answer, and the last known addresses of a
// name remain in use.
//
//   std::vector<SocketAddress> known = NameLookup::Shared().Cached(address);
//   if (known.empty()) {
//     NameLookup::Shared().Find(address, [](const NameLookup::Found& found) { … });
//   }
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
  // Looks up one name. It may block for any time.
  using Resolve = std::function<Found(const Address&)>;
  using Done = absl::AnyInvocable<void(const Found&)>;

  static constexpr size_t kMaxThreads = 8;
  // At most this many threads look up names that were slow the last time.
  static constexpr size_t kMaxSlow = 6;
  // A name is slow when its look-up took longer than this.
  static constexpr Duration kSlow = Duration::Seconds(1);
  // A known name is looked up again at most this often.
  static constexpr Duration kRefresh = Duration::Seconds(1);
  // How many names are kept.
  static constexpr size_t kMaxCached = 4096;

  // The process's own instance, with the system's resolver. It is never destroyed.
  static NameLookup& Shared();
  // Look-ups under way continue after the destruction of this object, but no callback
  // runs.
  explicit NameLookup(Resolve resolve);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // Returns the addresses of the name when it was last found; empty if it never was.
  // Also has the name looked up again for the next call.
  [[nodiscard]] std::vector<SocketAddress> Cached(const Address& address);
  // `done` runs once, on a thread of the look-up; or at once, with RESOURCE_EXHAUSTED,
  // when no thread can be started. It must not block.
  void Find(const Address& address, Done done);

  // How many threads there are now.
  [[nodiscard]] size_t threads() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the threads
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_NAME_LOOKUP_H_
