#include "examples/transfer/input/money.h"

namespace concordat::transfer {

void MoneyExample() {
  // EXAMPLE
}

}  // namespace concordat::transfer
