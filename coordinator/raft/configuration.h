// The members of a Raft group, and what a quorum of them is.
//
// A configuration is the data of an entry of the log and part of every snapshot. The
// first entry of a group holds its first configuration and the cluster's id.
//
// There is one set of voters today. Joint configurations and learners (thesis, chapter
// 4) would be added here: all other code asks this class and never counts nodes itself.
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
  // `voters` need not be sorted; duplicates are removed.
  explicit Configuration(std::vector<NodeId> voters, ClusterKey cluster = {});

  // In ascending order.
  [[nodiscard]] const std::vector<NodeId>& voters() const { return voters_; }
  // The cluster's id; none before the group's first entry.
  [[nodiscard]] const ClusterKey& cluster() const { return cluster_; }
  [[nodiscard]] bool empty() const { return voters_.empty(); }
  [[nodiscard]] bool IsVoter(NodeId node) const;
  // A majority: any two sets of so many voters have one in common.
  [[nodiscard]] size_t QuorumSize() const { return voters_.size() / 2 + 1; }

  // The largest value that a quorum has reached, when each voter has reached
  // value_of(voter). With match indexes this is the commit index (section 5.3 of the
  // paper). 0 without voters.
  [[nodiscard]] uint64_t QuorumValue(
      const std::function<uint64_t(NodeId)>& value_of) const;
  // Whether the voters for which `holds` is true make a quorum.
  [[nodiscard]] bool HasQuorum(const std::function<bool(NodeId)>& holds) const;

  friend bool operator==(const Configuration&, const Configuration&) = default;

 private:
  std::vector<NodeId> voters_;  // ascending, without duplicates
  ClusterKey cluster_;
};

// The configuration as the data of an entry. Decoding gives nullopt for bytes that are
// not a configuration.
[[nodiscard]] std::string EncodeConfiguration(const Configuration& configuration);
[[nodiscard]] std::optional<Configuration> DecodeConfiguration(std::string_view data);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_CONFIGURATION_H_
