#include "thrift/rpc/descriptors.h"

#include "thrift/rpc/limits.h"

namespace concordat::rpc {

void DescriptorsExample(uint64_t reserve, Limits limits) {
  // EXAMPLE
}

}  // namespace concordat::rpc
