// concordat-rm as a process: a participant on its loop, with a server.
#ifndef PARTICIPANT_DAEMON_DAEMON_H_
#define PARTICIPANT_DAEMON_DAEMON_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "participant/daemon/options.h"
#include "participant/sdk/participant.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/server.h"

namespace concordat::participant {

class Daemon {
 public:
  // Starts to listen and to look for the coordinators. `ready` runs on the loop's thread:
  // with the advertised address when everything is served and registered, or with the
  // error that prevents a resource from being served. The message of an error says what
  // happened and what to do.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Daemon>> Start(
      const DaemonOptions& options,
      absl::AnyInvocable<void(absl::StatusOr<std::string>)> ready);

  // Takes no more work, rolls back branches that have not voted, answers the requests
  // that came, and closes the resources.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  Daemon() = default;
  absl::Status StartOnLoop(const DaemonOptions& options,
                           absl::AnyInvocable<void(absl::StatusOr<std::string>)> ready);
  absl::Status AddResources(const DaemonOptions& options);
  // Raises the limit of open files, and divides it between connections and other files.
  absl::Status PlanConnections(const DaemonOptions& options);
  absl::StatusOr<std::string> Listen(const DaemonOptions& options);

  uint32_t max_connections_ = 0;             // of the server
  std::unique_ptr<rpc::LoopThread> thread_;  // with the loop; everything else runs on it
  std::shared_ptr<Participant> participant_;
  std::unique_ptr<rpc::Server> server_;  // of coordinators and clients
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_DAEMON_H_
