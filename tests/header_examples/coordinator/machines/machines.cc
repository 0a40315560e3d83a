#include "coordinator/machines/machines.h"

#include "coordinator/group/replica.h"

namespace concordat::machines {

using group::Replica;

void MachinesExample(GroupId group, const txn::CoreOptions& txn_options,
                     const registry::Options& registry_options,
                     group::ReplicaConfig config, raft::RecoveredState recovered,
                     storage::RaftStore& store, group::ReplicaEnvironment& environment,
                     const txn::Input& input, group::RequestToken token,
                     const registry::Request& request, Timestamp now) {
  // EXAMPLE
}

}  // namespace concordat::machines
