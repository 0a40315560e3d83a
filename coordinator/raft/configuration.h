// Who takes part in a Raft group, and what a quorum of them is.
//
// It stands in the log as an entry, and in every snapshot. The first entry of a group
// holds the first one, and with it the cluster's id.
//
// One set of voters today. Joint configurations and learners (thesis, chapter 4)
// belong here: everything else asks this class and never counts nodes itself.
#ifndef COORDINATOR_RAFT_CONFIGURATION_H_
#define COORDINATOR_RAFT_CONFIGURATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/cluster_key.h"
#include "coordinator/base/ids.h"

namespace concordat::raft {

class Configuration {
 public:
  Configuration() = default;
  // Sorted here, and each node counted once.
  explicit Configuration(std::vector<NodeId> voters, ClusterKey cluster = {});

  // In ascending order.
  [[nodiscard]] const std::vector<NodeId>& voters() const { return voters_; }
  // Whose configuration it is; none: before the group's first entry.
  [[nodiscard]] const ClusterKey& cluster() const { return cluster_; }
  [[nodiscard]] bool empty() const { return voters_.empty(); }
  [[nodiscard]] bool IsVoter(NodeId node) const;
  // The smallest number of voters of which any two sets share one.
  [[nodiscard]] size_t QuorumSize() const { return voters_.size() / 2 + 1; }

  // The largest value that a quorum has reached, each voter having reached
  // value_of(voter). This is the commit index when value_of gives match indexes
  // (section 5.3 of the paper). 0 without voters.
  [[nodiscard]] uint64_t QuorumValue(
      const std::function<uint64_t(NodeId)>& value_of) const;
  // Whether the voters for which `holds` is true make a quorum.
  [[nodiscard]] bool HasQuorum(const std::function<bool(NodeId)>& holds) const;

  friend bool operator==(const Configuration&, const Configuration&) = default;

 private:
  std::vector<NodeId> voters_;
  ClusterKey cluster_;
};

// As the data of an entry. Nothing: these bytes are no configuration.
[[nodiscard]] std::string EncodeConfiguration(const Configuration& configuration);
[[nodiscard]] std::optional<Configuration> DecodeConfiguration(std::string_view data);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_CONFIGURATION_H_
