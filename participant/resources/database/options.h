// Options and statistics that all resource managers of database servers share.
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
  // The resource's name in the cluster. It is part of every branch id, and so of the
  // names of prepared branches. Prepared branches of other resources are left alone.
  std::string resource;
  // The isolation of branches that name none. Empty: the database's own default.
  std::string default_isolation;
  // The number of connections for branches at work, each of which uses one; at MariaDB a
  // branch keeps its connection while it is prepared.
  uint32_t max_connections = 32;
  // The number of connections for ending prepared branches and looking at them. The
  // server's max_connections must allow for both kinds and two connections more.
  uint32_t settle_connections = 8;
  // How long a branch waits for a free connection. Its call is then answered OVERLOADED,
  // or UNAVAILABLE if the server cannot be reached. The branch lives on.
  Duration connection_wait = Duration::Seconds(5);
  Duration connect_timeout = Duration::Seconds(5);
  // How long Recover waits for a server that cannot be reached.
  Duration start_patience = Duration::Seconds(30);
  // The pauses between tries to reach the server, which double each time, with jitter.
  Duration min_back_off = Duration::Millis(50);
  Duration max_back_off = Duration::Seconds(3);
  // How long a statement may wait for a lock, and how long it may run. For MariaDB both
  // are rounded up to whole seconds.
  Duration lock_wait = Duration::Seconds(5);
  Duration statement_time = Duration::Seconds(10);
  // How long a commit, rollback or look-up that fails is tried again before it is
  // answered kRetry or kUnknown.
  Duration settle_patience = Duration::Seconds(3);
  // The time between scans of the branches that are prepared in the database: see
  // ResourceManager::OnFound.
  Duration scan_interval = Duration::Seconds(5);
  // The most bytes of rows that one call returns.
  uint64_t max_result_bytes = kMaxAnswerBytes;
  // The most branches that are not prepared.
  uint32_t max_branches = 20000;
};

// Counted since the start. For operators, and for tests that count what a branch costs.
struct DatabaseStats {
  uint64_t connects = 0;     // connections that were made
  uint64_t statements = 0;   // statements that were sent, ours and the clients'
  uint64_t round_trips = 0;  // batches that were sent; each is waited for once
  uint64_t lost_ends = 0;    // connections that were lost during PREPARE or COMMIT
  // Both are numbers of prepared branches at the last scan: those of this resource; and
  // those of other clusters and resources, with those that were prepared by hand.
  uint64_t prepared_here = 0;
  uint64_t prepared_by_others = 0;
  // These are of MariaDB only.
  uint64_t left_undone = 0;  // batches of which the server never ran the last part
  uint64_t detached = 0;     // prepared branches that had to give up their connections
  uint64_t resets = 0;       // sessions that were reset between two branches
};

// The prepared branches that a scan has found.
struct PreparedScan {
  std::vector<FoundBranch> ours;    // of this cluster and resource
  std::vector<std::string> others;  // their names in the database; left alone
};

namespace database {

// INVALID_ARGUMENT: the database has no such isolation.
using IsolationCheck = absl::FunctionRef<absl::Status(const std::string&)>;

// Moves the parameters that all databases have from a URL into `options`, and returns the
// URL without them:
//   isolation=read-committed | repeatable-read | serializable
//   max_connections=N  settle_connections=N  lock_wait_ms=N  statement_time_ms=N
// INVALID_ARGUMENT: a value is wrong; the text says which.
[[nodiscard]] absl::StatusOr<std::string> TakeOptions(const std::string& url,
                                                      IsolationCheck check_isolation,
                                                      DatabaseOptions* options);

}  // namespace database
}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_DATABASE_OPTIONS_H_
