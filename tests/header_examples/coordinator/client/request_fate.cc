#include "coordinator/client/request_fate.h"

namespace concordat::client {

void RequestFateExample(bool (*HasTimeLeft)(), Answer (*Ask)(NextStep)) {
  // EXAMPLE
}

}  // namespace concordat::client
