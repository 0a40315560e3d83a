#include "coordinator/base/copy_on_write.h"

namespace concordat {

void CopyOnWriteExample() {
  struct Block {
    int count = 0;
  };
  // EXAMPLE
}

}  // namespace concordat
