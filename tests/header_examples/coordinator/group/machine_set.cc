#include "coordinator/group/machine_set.h"

namespace concordat::group {

void MachineSetExample(StateMachine& transactions, StateMachine& registry) {
  // EXAMPLE
}

}  // namespace concordat::group
