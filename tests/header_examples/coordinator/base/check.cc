#include "coordinator/base/check.h"

namespace concordat {

void CheckExample(int index, int commit_index) {
  // EXAMPLE
}

}  // namespace concordat
