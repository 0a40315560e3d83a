#include "coordinator/base/leader_finder.h"

#include "concordat_wire/types_types.h"

namespace concordat {

wire::Result Ask(const std::string& node);

void LeaderFinderExample(LeaderFinder nodes_) {
  // EXAMPLE
}

}  // namespace concordat
