// A coordinator node as a process: the node on its loop, and its sockets.
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
  // Recovers the data directory, listens on both addresses and joins the cluster. The
  // message of an error says what happened and what to do.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Daemon>> Start(
      const Options& options);

  // Stops listening, gives calls under way a moment to finish, and closes the log.
  ~Daemon();

  // Hands leadership over if this node leads, so that the cluster goes on at once when
  // this process ends. Waits for that, at most a second. Not on the loop's thread.
  void HandOver();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  Daemon() = default;
  absl::Status StartOnLoop(const Options& options);
  absl::Status Listen(const Options& options);

  uint32_t max_clients_ = 0;  // connections at the clients' address

  std::unique_ptr<rpc::LoopThread> thread_;
  // Used on the loop's thread only.
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<rpc::PeerTransport> peers_;          // to the other nodes
  std::unique_ptr<rpc::ResourceMessenger> resources_;  // to participants
  std::unique_ptr<rpc::Server> peer_server_;           // for the other nodes
  std::unique_ptr<rpc::Server> client_server_;  // for clients, participants, operators
};

}  // namespace concordat::daemon

#endif  // COORDINATOR_DAEMON_DAEMON_H_
