#include "examples/tickets/sale.h"

namespace concordat::tickets {

void SaleExample(client::Client* client, const Plan& plan, Habits habits, size_t clients,
                 uint64_t seed) {
  // EXAMPLE
}

}  // namespace concordat::tickets
