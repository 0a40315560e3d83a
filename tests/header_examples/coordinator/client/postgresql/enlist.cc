#include "coordinator/client/postgresql/enlist.h"

namespace concordat::client {

absl::Status EnlistExample(Client* client, PGconn* bank_a, wire::SqlStatement credit) {
  // EXAMPLE
  return result.work;
}

}  // namespace concordat::client
