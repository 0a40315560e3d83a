#include "participant/resources/database/database_resource_manager.h"

#include "participant/resources/postgresql/postgresql_resource_manager.h"

namespace concordat::participant {

void DatabaseResourceManagerExample(ClusterId cluster) {
  // EXAMPLE
}

}  // namespace concordat::participant
