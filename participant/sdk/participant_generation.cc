// Gives the stores new generations (ResourceManager::SetGeneration), and stops serving
// when a store is an older copy.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/sdk/participant.h"

namespace concordat::participant {
namespace {

uint64_t WallMillis() {
  return static_cast<uint64_t>(std::max<int64_t>(SystemClock().WallMicros() / 1000, 0));
}

}  // namespace

// Once there is work, a store gets a new generation in each interval in which there was
// work. So a new generation follows the last promise within an interval.
void Participant::AdvanceGenerations() {
  if (phase_ != Phase::kServing) return;
  const Timestamp now = loop_->Now();
  for (size_t i = 0; i < resources_.size(); ++i) {
    Resource& resource = resources_[i];
    if (!resource.worked || resource.advancing || now < resource.advance_at ||
        resource.manager == nullptr) {
      continue;
    }
    resource.worked = false;
    resource.advancing = true;
    resource.advance_at = now + options_.generation_interval;
    const uint64_t generation = std::max(resource.generation + 1, WallMillis());
    resource.manager->SetGeneration(
        generation, [inbox = inbox_, i, generation](absl::Status status) {
          inbox->Push({i, BranchId(), GenerationResult{generation, std::move(status)}});
        });
  }
}

// The next heartbeat reports the generation to the coordinators. The store gets it first,
// so that the coordinators never know a higher generation than the store.
void Participant::OnGenerationSet(Resource* resource, GenerationResult result) {
  resource->advancing = false;
  if (result.status.ok()) {
    resource->generation = result.generation;
    return;
  }
  if (absl::IsUnimplemented(result.status)) {
    resource->advance_at = Timestamp::Infinite();
    return;
  }
  if (absl::IsFailedPrecondition(result.status)) {
    return EndServing(absl::StrCat("resource ", resource->table->resource(), ": ",
                                   std::string(result.status.message())));
  }
  resource->worked = true;  // at the next time again
  LogEvent(Level::kWarning, "store generation not advanced")
      .Field("resource", resource->table->resource())
      .Field("error", result.status.message());
}

// Heartbeats go on and report this: an operator sees it in the list of resources.
void Participant::EndServing(std::string why) {
  if (phase_ != Phase::kServing) return;
  phase_ = Phase::kFailed;
  quarantined_here_ = true;
  quarantine_ = std::move(why);
  LogEvent(Level::kError, "store went back: nothing is served")
      .Field("error", quarantine_);
  loop_->Cancel(timer_);
  for (const Resource& resource : resources_) {
    resource.table->StopStarting();
    resource.table->RollBackActive(loop_->Now());
  }
  ScheduleDrain();
}

}  // namespace concordat::participant
