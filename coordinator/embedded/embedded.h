// Everything in one process: a coordinator of one node, resource managers and a
// client, on one loop of their own, without sockets. The same code as in the daemons:
// what is acknowledged is on disk, and a restart recovers it.
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
// For a first try, tests and small installations. One process at a time may use the
// folder; the coordinator is not replicated, so its disk is the only copy of its log.
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
  // For the coordinator's log and snapshots. Resource managers have folders of theirs.
  std::string dir;
  client::ClientOptions client{};  // without addresses
  participant::ParticipantOptions participant{};
  // Start gives up after this.
  Duration start_timeout = Duration::Seconds(30);
};

struct EmbeddedResource {
  std::string name;
  std::unique_ptr<participant::ResourceManager> manager;
};

class Embedded {
 public:
  // Recovers and serves: when it returns OK, the client can be used, and branches that
  // a crash left in doubt are being settled. The message of an error says which part
  // failed, and why: a locked or foreign folder, damage, a resource's own words.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Embedded>> Start(
      EmbeddedOptions options, std::vector<EmbeddedResource> resources);

  // Transactions must have ended. Rolls back what has not been prepared, closes all.
  ~Embedded();
  Embedded(const Embedded&) = delete;
  Embedded& operator=(const Embedded&) = delete;

  // Thread-safe.
  [[nodiscard]] client::Client* client() { return client_.get(); }
  // Transactions that are not over yet, branches in doubt included. Thread-safe.
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
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<rpc::CoordinatorServiceHandler> handler_;
  std::unique_ptr<NoPeers> peers_;
  std::unique_ptr<Sender> sender_;
  std::shared_ptr<participant::Participant> participant_;
  std::unique_ptr<Links> links_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace concordat

#endif  // COORDINATOR_EMBEDDED_EMBEDDED_H_
