// Which ends of a transaction Client::Run tries again, and after what pause.
//
//   kConflict                            may go well at once: a short pause
//   kLost, kTimedOut at the commit,      may go well when somebody is back: a longer one,
//   work that was UNAVAILABLE or         and fewer tries
//   RESOURCE_EXHAUSTED
//   everything else                      would end the same way: not again
//
// Pauses double, up to a maximum, and are drawn between half of it and all of it, so that
// many clients do not come back in step.
#ifndef COORDINATOR_CLIENT_RUN_PAUSES_H_
#define COORDINATOR_CLIENT_RUN_PAUSES_H_

#include <cstdint>
#include <optional>

#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "coordinator/client/outcome.h"

namespace concordat::client {

struct RunOptions;

class RunPauses {
 public:
  RunPauses(const RunOptions& options, uint64_t seed, Timestamp start);

  // None: the result is the last one.
  [[nodiscard]] std::optional<Duration> After(const CommitResult& result, Timestamp now);

 private:
  // Tries of one kind.
  struct Kind {
    int left;
    Duration pause;
    const Duration longest;
  };
  [[nodiscard]] Kind* KindOf(const CommitResult& result);

  const Timestamp give_up_;
  Random random_;
  Kind conflict_;
  Kind away_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_RUN_PAUSES_H_
