// The part of the run in which money moves: the clients work, the nemesis kills, people
// watch.
#ifndef EXAMPLES_TRANSFER_RUN_TRANSFERS_H_
#define EXAMPLES_TRANSFER_RUN_TRANSFERS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "examples/processes/console.h"
#include "examples/processes/nemesis.h"
#include "examples/transfer/bank_data.h"
#include "examples/transfer/book.h"
#include "examples/transfer/deployment.h"
#include "examples/transfer/ledger.h"
#include "examples/transfer/statistics.h"
#include "examples/transfer/work.h"

namespace concordat::transfer {

struct Job {
  const Book* book = nullptr;
  const Accesses* accesses = nullptr;
  WorkSource source;
  uint64_t total = 0;  // transfers in the source; 0: endless, for as long as `time`
  Duration time;
  uint64_t clients = 64;
  uint64_t leader_kills = 0;
  std::vector<std::string> databases;  // resources with a server of their own
  uint64_t seed = 1;
  CommitMode mode = CommitMode::kDecided;
};

struct RunResult {
  Ledger ledger;
  std::vector<example::Fault> faults;
  Duration elapsed;
};

// Main thread. An error means that a process ended by itself, or did not come back:
// transfers are still under way then, which use the job, so that the program should end
// at once.
[[nodiscard]] absl::StatusOr<RunResult> RunTransfers(Job* job, Deployment* deployment,
                                                     Statistics* statistics,
                                                     example::Console* console);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_RUN_TRANSFERS_H_
