#include "examples/transfer/clients.h"

namespace concordat::transfer {

void ClientsExample(Surroundings surroundings, std::vector<Transfer> transfers) {
  // EXAMPLE
}

}  // namespace concordat::transfer
