#include "participant/resources/xa/xa_resource_manager.h"

namespace concordat::participant {

void XaResourceManagerExample() {
  // EXAMPLE
}

}  // namespace concordat::participant
