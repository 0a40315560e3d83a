// Changes of the members at random, and disks that are lost.
#include <algorithm>

#include "tests/unit/raft/cluster.h"

namespace concordat::raft {

bool Cluster::IsMember(NodeId node) const {
  const Raft* leader = Leader();
  return leader != nullptr && leader->configuration().Find(node) != nullptr;
}

// Whether the node has still the log that the member is known by.
bool Cluster::IsThatMember(const Member& member) const {
  return member.log == nodes_[member.node.value() - 1].log;
}

void Cluster::Change(MemberChange::Kind kind, NodeId node) {
  Raft* const leader = Leader();
  if (leader == nullptr) return;
  MemberChange change;
  change.kind = kind;
  change.node = node;
  // Refused when it makes no sense, or would leave no live majority.
  (void)leader->ChangeMembers(change, /*force=*/false);
  AfterInput(&nodes_[leader->self().value() - 1]);
}

void Cluster::RandomMemberChange() {
  using Kind = MemberChange::Kind;
  constexpr Kind kKinds[] = {Kind::kAdd,     Kind::kPromote, Kind::kPromote,
                             Kind::kPromote, Kind::kReplace, Kind::kReplace,
                             Kind::kDemote,  Kind::kRemove};
  const uint64_t draw = random_.Below(std::size(kKinds) + 1);
  Node& node = RandomNode();
  // Until it is noticed, the leader takes the lost node for a live one. To take another's
  // vote away just then would be a second failure.
  if (disks_lost_ > 0 && now_ - disk_lost_at_ < Duration::Seconds(1)) return;
  if (draw == std::size(kKinds)) {
    if (MayLoseDisk(node)) LoseDisk(&node);
    return;
  }
  // Only a node that was lost is replaced.
  const Raft* leader = Leader();
  const Member* member =
      leader == nullptr ? nullptr : leader->configuration().Find(node.id);
  if (kKinds[draw] == Kind::kReplace && (member == nullptr || IsThatMember(*member))) {
    return;
  }
  Change(kKinds[draw], node.id);
}

// A lost disk is a crash for ever, and a group survives those of a minority of its
// voters: so one at a time, while there are three, and not before every other member that
// was lost is a learner, by the configurations of all nodes. Nor while a node holds a
// change of an earlier leader that was never committed: see docs/raft.md, "Members".
bool Cluster::MayLoseDisk(const Node& node) {
  const Raft* leader = Leader();
  if (leader == nullptr || leader->configuration_index() > leader->commit_index() ||
      leader->configuration().voters().size() < 3) {
    return false;
  }
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& other) {
    if (other.raft == nullptr ||
        other.raft->configuration_index() > leader->configuration_index()) {
      return false;
    }
    const auto& members = other.raft->configuration().members();
    return other.raft->configuration().empty() ||
           (other.raft->configuration().voters().size() >= 3 &&
            std::all_of(members.begin(), members.end(), [&](const Member& member) {
              return IsThatMember(member) ||
                     (member.role == MemberRole::kLearner && member.node != node.id);
            }));
  });
}

void Cluster::LoseDisk(Node* node) {
  ++disks_lost_;
  disk_lost_at_ = now_;
  Crash(node);
  node->disk = Disk();
  node->machine = Machine();
  node->log = LogId(++lives_);
  node->joins = true;
  checker_.OnDiskLost(node->id);
}

void Cluster::RepairMembers() {
  for (int i = 0; i < 200; ++i) {
    RunFor(Duration::Millis(100));
    const Raft* leader = Leader();
    if (leader == nullptr) continue;
    const std::vector<Member> members = leader->configuration().members();
    for (const Member& member : members) {
      const bool lost = !member.log.is_none() && !IsThatMember(member);
      if (lost) Change(MemberChange::Kind::kReplace, member.node);
      if (member.role == MemberRole::kLearner) {
        Change(MemberChange::Kind::kPromote, member.node);
      }
    }
  }
}

}  // namespace concordat::raft
