// Everything in one process: a coordinator of one node, resource managers and a client,
// on a loop of their own and without sockets. The code is that of the daemons: what is
// acknowledged is on disk, and a restart recovers it.
//
//   std::vector<EmbeddedResource> resources;
//   resources.push_back({"bank-a", std::make_unique<participant::kv::KvResourceManager>(
//                                      "/var/lib/app/bank-a",
//                                      participant::kv::KvOptions())});
//   auto embedded = Embedded::Start({.dir = "/var/lib/app/txn"}, std::move(resources));
//   if (!embedded.ok()) return embedded.status();
//   client::CommitResult result = (*embedded)->client()->Run(
//       [](client::Transaction& t) -> absl::Status {
//         return t.Kv("bank-a", {client::Add("alice", 5)}).status();
//       });
//
// For first experiments, tests and small installations. Only one process at a time may
// use the folder. The coordinator is not replicated, so its disk has the only copy of its
// log.
#ifndef COORDINATOR_EMBEDDED_EMBEDDED_H_
#define COORDINATOR_EMBEDDED_EMBEDDED_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/client/client.h"
#include "coordinator/node/node.h"
#include "participant/sdk/participant.h"
#include "participant/sdk/resource_manager.h"

namespace concordat {

struct EmbeddedOptions {
  // The folder of the coordinator's log and snapshots. Resource managers have their own.
  std::string dir;
  client::ClientOptions client{};  // `coordinators` is ignored
  participant::ParticipantOptions participant{};
  // Start returns an error when not all is ready after this time.
  Duration start_timeout = Duration::Seconds(30);
};

struct EmbeddedResource {
  std::string name;  // in the cluster, for ever: see IsValidResourceName
  std::unique_ptr<participant::ResourceManager> manager;
};

class Embedded {
 public:
  // Recovers and starts to serve. After OK the client can be used, and branches that a
  // crash has left in doubt are being settled. The message of an error says which part
  // has failed and why: the folder is locked or belongs to another node, something is
  // damaged, or what the resource has reported.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Embedded>> Start(
      EmbeddedOptions options, std::vector<EmbeddedResource> resources);

  // All transactions must have ended. Rolls back branches that are not prepared, and
  // closes everything.
  ~Embedded();
  Embedded(const Embedded&) = delete;
  Embedded& operator=(const Embedded&) = delete;

  // Thread-safe.
  [[nodiscard]] client::Client* client() { return client_.get(); }
  // The number of transactions that are not over, including those with branches in doubt.
  // Thread-safe.
  [[nodiscard]] size_t OpenTransactions();

 private:
  class Sender;
  class NoPeers;
  class Link;
  class Links;

  Embedded() = default;
  absl::Status StartOnLoop(const EmbeddedOptions& options,
                           std::vector<EmbeddedResource> resources);
  absl::Status WaitUntilReady(Duration timeout);
  void StartParticipant(std::function<void(absl::Status)> ready);

  std::unique_ptr<rpc::LoopThread> thread_;
  // Used on the loop's thread only, except client_.
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<rpc::CoordinatorServiceHandler> handler_;  // of node_
  std::unique_ptr<NoPeers> peers_;  // drops messages: the node has no peers
  std::unique_ptr<Sender> sender_;  // from the node to the participant
  std::shared_ptr<participant::Participant> participant_;
  std::unique_ptr<Links> links_;  // from the client to node and participant
  std::unique_ptr<client::Client> client_;
};

}  // namespace concordat

#endif  // COORDINATOR_EMBEDDED_EMBEDDED_H_
