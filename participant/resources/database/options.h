// What all resource managers of database servers are told, and what they tell.
#ifndef PARTICIPANT_RESOURCES_DATABASE_OPTIONS_H_
#define PARTICIPANT_RESOURCES_DATABASE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant {

struct DatabaseOptions {
  // The resource's name in the cluster. Part of every branch id, and so of the names of
  // prepared branches: those of other names are left alone.
  std::string resource;
  // What a branch gets that names no isolation. Empty: the database's own default.
  std::string default_isolation;
  // Connections for branches at work, one each (at MariaDB also those they prepared), and
  // for ending the others. The server needs max_connections for both and two more.
  uint32_t max_connections = 32;
  uint32_t settle_connections = 8;
  // A branch waits so long for a free connection: OVERLOADED then, or UNAVAILABLE when
  // the server cannot be reached. The branch lives on.
  Duration connection_wait = Duration::Seconds(5);
  Duration connect_timeout = Duration::Seconds(5);
  // Recover waits so long for a server that is not reached.
  Duration start_patience = Duration::Seconds(30);
  // Between tries to reach the server: doubled each time, with jitter.
  Duration min_back_off = Duration::Millis(50);
  Duration max_back_off = Duration::Seconds(3);
  // How long a statement may wait for a lock, and how long it may run. MariaDB takes
  // whole seconds: rounded up.
  Duration lock_wait = Duration::Seconds(5);
  Duration statement_time = Duration::Seconds(10);
  // A commit, rollback or look-up that cannot be carried out is tried again for so long
  // before it is given back with kRetry or kUnknown.
  Duration settle_patience = Duration::Seconds(3);
  // Between scans of what is prepared in the database: see OnFound.
  Duration scan_interval = Duration::Seconds(5);
  // Limits: the rows one call returns, branches that are not prepared.
  uint64_t max_result_bytes = kMaxAnswerBytes;
  uint32_t max_branches = 20000;
};

// Since the start. For operators, and for tests that count what a branch costs.
struct DatabaseStats {
  uint64_t connects = 0;       // connections that were made
  uint64_t statements = 0;     // statements sent, ours and the clients'
  uint64_t round_trips = 0;    // batches sent: each is waited for once
  uint64_t lost_ends = 0;      // connections lost in the middle of PREPARE or COMMIT
  uint64_t prepared_here = 0;  // prepared branches of this resource, at the last scan
  uint64_t prepared_by_others = 0;  // of other clusters and resources, and by hand
  // Of MariaDB alone:
  uint64_t left_undone = 0;  // batches whose rest the server has never done
  uint64_t detached = 0;     // prepared branches that had to give up their connections
  uint64_t resets = 0;       // sessions made as new between two branches
};

// The prepared branches that a scan has found.
struct PreparedScan {
  std::vector<FoundBranch> ours;    // of this cluster and resource
  std::vector<std::string> others;  // their names in the database; left alone
};

namespace database {

// INVALID_ARGUMENT: not an isolation that the database has.
using IsolationCheck = absl::FunctionRef<absl::Status(const std::string&)>;

// Takes the parameters that all databases have out of a URL, into `options`, and returns
// the rest:
//   isolation=read-committed | repeatable-read | serializable
//   max_connections=N  settle_connections=N  lock_wait_ms=N  statement_time_ms=N
// INVALID_ARGUMENT: a value is not what it should be.
[[nodiscard]] absl::StatusOr<std::string> TakeOptions(const std::string& url,
                                                      IsolationCheck check_isolation,
                                                      DatabaseOptions* options);

}  // namespace database
}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_DATABASE_OPTIONS_H_
