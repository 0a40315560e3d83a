#include "coordinator/client/client.h"

namespace concordat::client {

absl::Status ClientExample() {
  // EXAMPLE
  return result.work;
}

absl::StatusOr<std::string> CallServiceB(const std::string& context);

absl::StatusOr<std::string> ServicesExample(Client* client, const std::string& context) {
  // EXAMPLE
}

void AtCommitExample(Transaction& t) {
  // EXAMPLE
}

}  // namespace concordat::client
