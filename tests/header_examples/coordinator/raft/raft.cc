#include "coordinator/raft/raft.h"

namespace concordat::raft {

void RaftExample(Config config, RecoveredState recovered, Timestamp now, Message message,
                 std::vector<std::string> commands, void (*CarryOut)(Output)) {
  // EXAMPLE
}

}  // namespace concordat::raft
