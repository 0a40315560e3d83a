#include "coordinator/rpc/page.h"

#include "concordat_wire/coordinator_types.h"

namespace concordat::rpc {

void PageExample(wire::ResolveReply reply, std::vector<wire::ResourceInfo> items,
                 size_t limit) {
  // EXAMPLE
}

}  // namespace concordat::rpc
