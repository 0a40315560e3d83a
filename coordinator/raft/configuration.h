// The members of a Raft group, and what a quorum of them is.
//
// A configuration is the data of an entry of the log and part of every snapshot. The
// first entry of a group holds its first configuration and the cluster's id; each later
// one changes one member (member_change.h). It is in force as soon as it is in the log
// (thesis, section 4.1).
//
// All code asks this class what a quorum is, and never counts nodes itself.
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

// The numbers are stored on disk and sent over the network, so none may change its
// meaning.
enum class MemberRole : uint8_t {
  kVoter = 1,    // it votes, and counts for every quorum
  kLearner = 2,  // it is sent the log, and counts for nothing (thesis, section 4.2.1)
};
[[nodiscard]] std::string_view MemberRoleName(MemberRole role);

struct Member {
  NodeId node;
  MemberRole role = MemberRole::kVoter;
  // The log that this member has. A node that answers with another one has lost what the
  // member had promised, so its answers do not count. None: not known yet; the leader
  // enters the first log from which it hears.
  LogId log;
  // The log that was lost when the member was last replaced. It does not become the
  // member's log again. None: it was never replaced.
  LogId lost_log;
  // Where the other nodes, and where clients and participants, reach it (host:port).
  // Empty where nothing is connected by addresses: in an embedding process, in tests.
  std::string peer_address;
  std::string client_address;

  friend bool operator==(const Member&, const Member&) = default;
};

class Configuration {
 public:
  Configuration() = default;
  // `voters` need not be sorted; duplicates are removed. They have no addresses.
  explicit Configuration(const std::vector<NodeId>& voters, ClusterKey cluster = {});
  // `members` need not be sorted; no node may be there twice, or be among the `removed`
  // (checked).
  Configuration(std::vector<Member> members, ClusterKey cluster,
                std::vector<NodeId> removed = {}, std::string last_change = {});

  // In ascending order.
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  // Those of the members that are voters, in ascending order.
  [[nodiscard]] const std::vector<NodeId>& voters() const { return voters_; }
  // Nodes that were members once; none of them may become one again. In ascending order.
  [[nodiscard]] const std::vector<NodeId>& removed() const { return removed_; }
  // The change that led here, for people: what, by whom and why. Empty: the group's
  // first.
  [[nodiscard]] const std::string& last_change() const { return last_change_; }
  // The cluster's id; none before the group's first entry.
  [[nodiscard]] const ClusterKey& cluster() const { return cluster_; }
  // Without members: that of a node which waits to be taken into a group.
  [[nodiscard]] bool empty() const { return members_.empty(); }
  // Null: not a member.
  [[nodiscard]] const Member* Find(NodeId node) const;
  [[nodiscard]] bool IsVoter(NodeId node) const;
  [[nodiscard]] bool WasRemoved(NodeId node) const;
  // A majority: any two sets of so many voters have one in common.
  [[nodiscard]] size_t QuorumSize() const { return voters_.size() / 2 + 1; }
  // Whether `node` is a quorum by itself.
  [[nodiscard]] bool IsOnlyVoter(NodeId node) const;

  // The largest value that a quorum has reached, when each voter has reached
  // value_of(voter). With match indexes this is the commit index (section 5.3 of the
  // paper). 0 without voters.
  [[nodiscard]] uint64_t QuorumValue(
      const std::function<uint64_t(NodeId)>& value_of) const;
  // Whether the voters for which `holds` is true make a quorum.
  [[nodiscard]] bool HasQuorum(const std::function<bool(NodeId)>& holds) const;

  friend bool operator==(const Configuration&, const Configuration&) = default;

 private:
  std::vector<Member> members_;  // ascending, without duplicates
  std::vector<NodeId> voters_;   // of members_
  std::vector<NodeId> removed_;  // ascending, without duplicates
  ClusterKey cluster_;
  std::string last_change_;
};

// No cluster has more members, and no address is longer.
inline constexpr size_t kMaxMembers = 16;
inline constexpr size_t kMaxAddressBytes = 255;
// Nor has more of them been removed.
inline constexpr size_t kMaxRemoved = 1024;
inline constexpr size_t kMaxLastChangeBytes = 1024;

// The configuration as the data of an entry, and in snapshots. Decoding gives nullopt for
// bytes that are not a configuration.
[[nodiscard]] std::string EncodeConfiguration(const Configuration& configuration);
[[nodiscard]] std::optional<Configuration> DecodeConfiguration(std::string_view data);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_CONFIGURATION_H_
