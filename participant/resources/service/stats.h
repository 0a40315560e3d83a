// What a service's resource manager shows to operators: how much is open, and why a
// branch does not end.
#ifndef PARTICIPANT_RESOURCES_SERVICE_STATS_H_
#define PARTICIPANT_RESOURCES_SERVICE_STATS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"

namespace concordat::participant::service {

// A branch whose Confirm, Cancel or Lookup has failed and is tried again.
struct StuckBranch {
  BranchId branch;
  std::string what;       // "confirm", "cancel", "lookup"
  uint64_t attempts = 0;  // calls that have failed
  Duration since_first_failure;
  std::string last_error;  // in the text of the service
};

struct ServiceStats {
  // --- the present state ---
  size_t branches = 0;  // not over
  size_t prepared = 0;  // in doubt
  size_t settling = 0;  // being confirmed or cancelled
  size_t evidence = 0;  // committed branches that are remembered
  std::vector<StuckBranch> stuck;
  // --- counters since the start ---
  uint64_t tries = 0;           // calls
  uint64_t refused = 0;         // tries that the service refused
  uint64_t conflicts = 0;       // tries that ended with a conflict
  uint64_t confirms = 0;        // calls
  uint64_t cancels = 0;         // calls
  uint64_t lookups = 0;         // calls
  uint64_t failed_calls = 0;    // of Confirm, Cancel and Lookup
  uint64_t contradictions = 0;  // the store's state contradicts the decision
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_STATS_H_
