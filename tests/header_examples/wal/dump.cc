#include "wal/dump.h"

#include <iostream>

namespace concordat::wal {

void DumpExample() {
  // EXAMPLE
}

}  // namespace concordat::wal
