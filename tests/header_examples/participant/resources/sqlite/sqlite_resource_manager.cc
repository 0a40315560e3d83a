#include "participant/resources/sqlite/sqlite_resource_manager.h"

namespace concordat::participant {

void SqliteResourceManagerExample(ClusterId cluster) {
  // EXAMPLE
}

}  // namespace concordat::participant
