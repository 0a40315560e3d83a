#include "participant/resources/kv/shard.h"

namespace concordat::participant::kv {

void ShardExample(Shard& shard, const BranchId& branch,
                  const wire::ExecuteRequest& request,
                  void (*callback)(wire::ExecuteReply), wal::Lsn lsn) {
  // EXAMPLE
}

}  // namespace concordat::participant::kv
