// Finds the address at which a resource is served. Asks the coordinators once and keeps
// the answer until Forget.
#ifndef COORDINATOR_CLIENT_RESOLVER_H_
#define COORDINATOR_CLIENT_RESOLVER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/client/coordinators.h"

namespace concordat::client {

// For the loop's thread.
class Resolver {
 public:
  Resolver(Coordinators* coordinators, Duration time_limit)
      : coordinators_(coordinators), time_limit_(time_limit) {}
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // NOT_FOUND: no participant has registered the resource. UNAVAILABLE: no coordinator
  // has answered in time.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
  void Resolve(const std::string& resource, Callback done);

  // For an address that no longer answers: the next Resolve asks again, because the
  // resource may have moved.
  void Forget(const std::string& resource) { addresses_.erase(resource); }

  [[nodiscard]] Lifetime::Watch watch() const { return lifetime_.watch(); }

 private:
  void Ask(bool again);
  void OnAnswer(const wire::ResolveReply& reply, const wire::Result& result, bool again);
  [[nodiscard]] bool AllKnown() const;

  Coordinators* const coordinators_;
  const Duration time_limit_;                              // of one question
  std::map<std::string, std::string> addresses_;           // by resource
  std::vector<std::pair<std::string, Callback>> waiting_;  // by resource, oldest first
  std::set<std::string> asked_;  // the resources of the question under way
  bool asking_ = false;          // a question is under way
  Lifetime lifetime_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_RESOLVER_H_
