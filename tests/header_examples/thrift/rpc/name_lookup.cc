#include "thrift/rpc/name_lookup.h"

namespace concordat::rpc {

void NameLookupExample(const Address& address) {
  // EXAMPLE
}

}  // namespace concordat::rpc
