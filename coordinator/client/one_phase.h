// The commit of a transaction's only branch, in one phase, at its resource. The
// resource decides, and keeps the outcome with the data: the question may be repeated
// until it is answered, by anybody who knows the branch.
#ifndef COORDINATOR_CLIENT_ONE_PHASE_H_
#define COORDINATOR_CLIENT_ONE_PHASE_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/link.h"
#include "coordinator/client/outcome.h"
#include "coordinator/client/resolver.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

// Commits `branch` in one phase if it still exists, and finds out its outcome: asks the
// participant at `address` until it has answered, or until `give_up`. Then the outcome is
// kUnknown, and the result names the branch. The resource may move to another participant
// meanwhile: after each attempt without an answer its address is looked up again. For the
// loop's thread. `done` is not called after the resolver's end.
void CommitOnePhase(rpc::EventLoop* loop, LinkProvider* links, Resolver* resolver,
                    std::string address, BranchId branch, Timestamp give_up,
                    absl::AnyInvocable<void(const CommitResult&)> done);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_ONE_PHASE_H_
