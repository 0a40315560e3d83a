#include "participant/resources/service/branches.h"

namespace concordat::participant::service {

void BranchesExample(Branches& branches, const BranchId& id, void (*done)(FinishResult),
                     const Reservation& reservation) {
  // EXAMPLE
}

}  // namespace concordat::participant::service
