// The coordinators and the banks' resources of a run: either as processes, with a
// database server for each bank that needs one, or everything in this process.
#ifndef EXAMPLES_TRANSFER_DEPLOYMENT_H_
#define EXAMPLES_TRANSFER_DEPLOYMENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "examples/processes/nemesis.h"
#include "examples/processes/observer.h"
#include "examples/processes/programs.h"
#include "examples/processes/supervisor.h"
#include "examples/transfer/banks.h"

namespace concordat::transfer {

// For the main thread.
class Deployment {
 public:
  virtual ~Deployment() = default;

  [[nodiscard]] virtual client::Client* client() = 0;
  // One line for the console.
  [[nodiscard]] virtual std::string Description() const = 0;
  // Transactions and branches that are not over.
  [[nodiscard]] virtual absl::StatusOr<example::OpenWork> CountOpen() = 0;
  // Null when there are no processes to kill.
  [[nodiscard]] virtual example::Victims* victims() = 0;
  [[nodiscard]] virtual size_t leaders_seen() const = 0;
  // An error: a process has ended by itself.
  [[nodiscard]] virtual absl::Status Check() = 0;
  // Stops everything. Returns the names of what has not ended cleanly.
  [[nodiscard]] virtual std::vector<std::string> Stop() = 0;
};

// Three coordinators and a participant for each bank, on free ports of 127.0.0.1, and the
// banks' database servers, with their data in `folder`. After OK everything runs and
// every resource is registered. The supervisor must outlive the deployment.
[[nodiscard]] absl::StatusOr<std::unique_ptr<Deployment>> StartCluster(
    const example::Programs& programs, const BankResources& banks,
    const std::string& folder, example::Supervisor* supervisor);

// One coordinator node and the resources in this process, with their data in `folder`. No
// bank may need a server.
[[nodiscard]] absl::StatusOr<std::unique_ptr<Deployment>> StartEmbedded(
    const BankResources& banks, const std::string& folder);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_DEPLOYMENT_H_
