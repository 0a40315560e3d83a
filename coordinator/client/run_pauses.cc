#include "coordinator/client/run_pauses.h"

#include <algorithm>

#include "absl/status/status.h"
#include "coordinator/client/client.h"

namespace concordat::client {

RunPauses::RunPauses(const RunOptions& options, uint64_t seed, Timestamp start)
    : give_up_(start + options.time_limit),
      random_(seed),
      conflict_{options.max_attempts - 1, Duration::Micros(500), Duration::Millis(50)},
      away_{std::min(options.max_attempts, options.max_away_attempts) - 1,
            Duration::Millis(20), Duration::Seconds(2)} {}

RunPauses::Kind* RunPauses::KindOf(const CommitResult& result) {
  if (result.outcome != Outcome::kAborted) return nullptr;
  switch (result.cause) {
    case AbortCause::kConflict:
      return &conflict_;
    case AbortCause::kLost:
      return &away_;
    case AbortCause::kTimedOut:
      // Work that took too long would take too long again.
      return result.work.ok() ? &away_ : nullptr;
    case AbortCause::kRolledBack: {
      const bool away =
          absl::IsUnavailable(result.work) || absl::IsResourceExhausted(result.work);
      return away ? &away_ : nullptr;
    }
    default:
      return nullptr;
  }
}

std::optional<Duration> RunPauses::After(const CommitResult& result, Timestamp now) {
  Kind* kind = KindOf(result);
  if (kind == nullptr || kind->left <= 0) return std::nullopt;
  --kind->left;
  const int64_t most = kind->pause.micros();
  const Duration pause = Duration::Micros(random_.Between(most / 2, most));
  kind->pause = std::min(Duration::Micros(most * 2), kind->longest);
  if (now + pause >= give_up_) return std::nullopt;
  return pause;
}

}  // namespace concordat::client
