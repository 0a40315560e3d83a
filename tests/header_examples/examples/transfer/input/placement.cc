#include "examples/transfer/input/placement.h"

namespace concordat::transfer {

void PlacementExample() {
  // EXAMPLE
}

}  // namespace concordat::transfer
