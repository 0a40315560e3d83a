#include "coordinator/txn/retention.h"

#include <algorithm>

namespace concordat::txn {

namespace {
constexpr int64_t kCheckpointsInRetention = 64;
}  // namespace

void WatermarkKeeper::BeginTerm(Term term, Timestamp now) {
  checkpoints_.clear();
  checkpoints_.push_back({now, now, Gtid{table_.group(), term, 0}});
  next_check_ = now + options_.watermark_interval;
  proposed_ = Gtid{};
}

void WatermarkKeeper::OnHandedOut(const Gtid& last, Timestamp now) {
  const Duration span =
      Duration::Micros(options_.retention.micros() / kCheckpointsInRetention);
  Checkpoint& newest = checkpoints_.back();
  const bool full = now - newest.begun >= span || newest.last.sequence == 0;
  if (full) {
    checkpoints_.push_back({now, now, last});
  } else {
    newest.until = now;
    newest.last = last;
  }
}

void WatermarkKeeper::EndTerm() {
  checkpoints_.clear();
  next_check_ = Timestamp::Infinite();
}

std::optional<Gtid> WatermarkKeeper::OlderThan(Duration age, Timestamp now) const {
  std::optional<Gtid> last;
  for (const Checkpoint& checkpoint : checkpoints_) {
    if (checkpoint.until + age > now) break;
    last = checkpoint.last;
  }
  return last;
}

std::optional<Gtid> WatermarkKeeper::Tick(Timestamp now) {
  if (now < next_check_) return std::nullopt;
  next_check_ = now + options_.watermark_interval;
  while (checkpoints_.size() > 1 && checkpoints_[1].until + options_.retention <= now) {
    checkpoints_.pop_front();
  }
  auto wanted = OlderThan(options_.retention, now);
  const auto crowded = table_.ended().WatermarkToKeep(options_.max_retained);
  const auto oldest_allowed = OlderThan(options_.min_retention, now);
  if (crowded && oldest_allowed) {
    const Gtid earlier = std::min(*crowded, *oldest_allowed);
    if (!wanted || *wanted < earlier) wanted = earlier;
  }
  if (!wanted) return std::nullopt;
  // Proposing what would be capped to what there is would fill an idle log.
  const Gtid reached = table_.CapWatermark(*wanted);
  if (reached <= table_.watermark() || reached <= proposed_) return std::nullopt;
  proposed_ = reached;
  return reached;
}

}  // namespace concordat::txn
