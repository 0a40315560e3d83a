#include "thrift/rpc/address.h"

namespace concordat::rpc {

void AddressExample() {
  // EXAMPLE
}

}  // namespace concordat::rpc
