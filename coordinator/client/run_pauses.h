// After which ends of a transaction Client::Run tries again, and after what pause.
//
//   kConflict                        may succeed at once: a short pause
//   kLost, kTimedOut at the commit,  may succeed when a participant is back: a longer
//   work that was UNAVAILABLE or     pause, and fewer attempts
//   RESOURCE_EXHAUSTED
//   all other ends                   would be the same again: no further attempt
//
// The limit of the pause doubles up to a maximum; the pause is random between half of the
// limit and the limit, so that many clients do not return at the same time.
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

  // The pause before the next attempt. nullopt: no further attempt.
  [[nodiscard]] std::optional<Duration> After(const CommitResult& result, Timestamp now);

 private:
  // Attempts after one kind of end.
  struct Kind {
    int left;                // further attempts
    Duration pause;          // limit of the next pause
    const Duration longest;  // the largest limit
  };
  [[nodiscard]] Kind* KindOf(const CommitResult& result);

  const Timestamp give_up_;  // no attempt begins after it
  Random random_;
  Kind conflict_;  // lost against another transaction
  Kind away_;      // a participant is unavailable or overloaded
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_RUN_PAUSES_H_
