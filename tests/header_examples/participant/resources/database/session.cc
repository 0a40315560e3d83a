#include "participant/resources/database/session.h"

#include "participant/resources/database/dialect.h"

namespace concordat::participant::database {

void SessionExample(Dialect* dialect) {
  // EXAMPLE
}

}  // namespace concordat::participant::database
