#include "coordinator/base/strong_id.h"

namespace concordat::strong_id_example {

// A namespace, because a type of the example is called as one of ids.h.
// EXAMPLE

}  // namespace concordat::strong_id_example
