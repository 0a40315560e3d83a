#include "participant/resources/database/pool.h"

namespace concordat::participant::database {

void PoolExample(Pool& pool, const SessionPtr& session) {
  // EXAMPLE
}

}  // namespace concordat::participant::database
