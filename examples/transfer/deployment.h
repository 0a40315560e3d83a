// What the transfers run on: coordinators and the banks' resources. Either processes,
// with a database server each where a bank needs one, or everything in this one.
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

// Main thread.
class Deployment {
 public:
  virtual ~Deployment() = default;

  [[nodiscard]] virtual client::Client* client() = 0;
  // In one line, in words.
  [[nodiscard]] virtual std::string Description() const = 0;
  // What is not over, of transactions and branches.
  [[nodiscard]] virtual absl::StatusOr<example::OpenWork> CountOpen() = 0;
  // Null when there are no processes to kill.
  [[nodiscard]] virtual example::Victims* victims() = 0;
  [[nodiscard]] virtual size_t leaders_seen() const = 0;
  // An error when a part has ended by itself.
  [[nodiscard]] virtual absl::Status Check() = 0;
  // Ends all in good order; names what did not end well.
  [[nodiscard]] virtual std::vector<std::string> Stop() = 0;
};

// Three coordinators and a participant for each bank, on free ports of 127.0.0.1, and the
// banks' database servers, their data in `folder`. All is up and every resource is
// registered when it returns OK. The supervisor outlives the deployment.
[[nodiscard]] absl::StatusOr<std::unique_ptr<Deployment>> StartCluster(
    const example::Programs& programs, const BankResources& banks,
    const std::string& folder, example::Supervisor* supervisor);

// One coordinator node and the resources in this process, their data in `folder`. None
// of the banks has a server.
[[nodiscard]] absl::StatusOr<std::unique_ptr<Deployment>> StartEmbedded(
    const BankResources& banks, const std::string& folder);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_DEPLOYMENT_H_
