// The part of the run in which money is transferred, while the nemesis kills processes.
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
  uint64_t total = 0;  // transfers in the source; 0: endless, ended after `time`
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

// For the main thread. An error means that a process has ended by itself, or is not back
// in time. Transfers that use the job are then still under way, so the program must end
// at once.
[[nodiscard]] absl::StatusOr<RunResult> RunTransfers(Job* job, Deployment* deployment,
                                                     Statistics* statistics,
                                                     example::Console* console);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_RUN_TRANSFERS_H_
