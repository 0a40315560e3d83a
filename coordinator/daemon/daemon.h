// A coordinator node as a process: the node on its loop, with sockets around it.
#ifndef COORDINATOR_DAEMON_DAEMON_H_
#define COORDINATOR_DAEMON_DAEMON_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "coordinator/daemon/options.h"
#include "coordinator/node/node.h"
#include "coordinator/rpc/coordinator_service.h"
#include "coordinator/rpc/peer_transport.h"
#include "coordinator/rpc/resource_messenger.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/server.h"

namespace concordat::daemon {

class Daemon {
 public:
  // Recovers the data directory, listens on both addresses and takes part. The
  // message of an error says what happened and what to do about it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Daemon>> Start(
      const Options& options);

  // Stops listening, lets calls under way finish for a moment, closes the log.
  ~Daemon();

  // A leader hands its leadership over, so that the cluster goes on at once when this
  // process ends. Waits for it, a second at most. Not on the loop's thread.
  void HandOver();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  Daemon() = default;
  absl::Status StartOnLoop(const Options& options);
  absl::Status Listen(const Options& options);

  uint32_t max_clients_ = 0;

  std::unique_ptr<rpc::LoopThread> thread_;
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<rpc::PeerTransport> peers_;
  std::unique_ptr<rpc::ResourceMessenger> resources_;
  std::unique_ptr<rpc::Server> peer_server_;
  std::unique_ptr<rpc::Server> client_server_;
};

}  // namespace concordat::daemon

#endif  // COORDINATOR_DAEMON_DAEMON_H_
