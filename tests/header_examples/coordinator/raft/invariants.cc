#include "coordinator/raft/invariants.h"

namespace concordat::raft {

void InvariantsExample(std::vector<NodeId> voters, const Raft& raft, NodeId node,
                       const Persist& persist, const Message& message, const Entry& entry,
                       void (*Report)(const std::vector<std::string>&)) {
  // EXAMPLE
}

}  // namespace concordat::raft
