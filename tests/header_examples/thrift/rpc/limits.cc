#include "thrift/rpc/limits.h"

namespace concordat::rpc {

void LimitsExample() {
  // EXAMPLE
}

}  // namespace concordat::rpc
