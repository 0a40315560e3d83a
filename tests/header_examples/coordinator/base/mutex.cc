#include "coordinator/base/mutex.h"

#include <deque>

namespace concordat::mutex_example {

struct Job {};
// EXAMPLE

}  // namespace concordat::mutex_example
