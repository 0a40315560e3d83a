#include "coordinator/raft/configuration.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/byte_codec.h"
#include "coordinator/base/check.h"

namespace concordat::raft {

namespace {

constexpr uint8_t kVersion = 2;

std::vector<Member> Voters(std::vector<NodeId> nodes) {
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  std::vector<Member> members;
  for (const NodeId node : nodes)
    members.push_back({node, MemberRole::kVoter, {}, {}, {}, {}});
  return members;
}

// Whether a configuration can be made of these: see its constructor.
bool IsValid(const std::vector<Member>& members, const std::vector<NodeId>& removed) {
  for (size_t i = 0; i < members.size(); ++i) {
    const NodeId node = members[i].node;
    if (node.is_none() || (i > 0 && members[i - 1].node >= node)) return false;
    if (std::binary_search(removed.begin(), removed.end(), node)) return false;
  }
  return std::is_sorted(removed.begin(), removed.end());
}

void WriteMember(const Member& member, ByteWriter* out) {
  out->Varint(member.node.value());
  out->U8(static_cast<uint8_t>(member.role));
  out->U64(member.log.value());
  out->U64(member.lost_log.value());
  out->Bytes(member.peer_address);
  out->Bytes(member.client_address);
}

std::optional<Member> ReadMember(ByteReader* in) {
  Member member;
  member.node = NodeId(in->Varint());
  const uint8_t role = in->U8();
  member.role = static_cast<MemberRole>(role);
  member.log = LogId(in->U64());
  member.lost_log = LogId(in->U64());
  member.peer_address = in->Bytes();
  member.client_address = in->Bytes();
  const bool known =
      member.role == MemberRole::kVoter || member.role == MemberRole::kLearner;
  const bool fits = member.peer_address.size() <= kMaxAddressBytes &&
                    member.client_address.size() <= kMaxAddressBytes;
  if (!in->ok() || !known || !fits) return std::nullopt;
  return member;
}

}  // namespace

std::string_view MemberRoleName(MemberRole role) {
  return role == MemberRole::kVoter ? "voter" : "learner";
}

Configuration::Configuration(const std::vector<NodeId>& voters, ClusterKey cluster)
    : Configuration(Voters(voters), cluster) {}

Configuration::Configuration(std::vector<Member> members, ClusterKey cluster,
                             std::vector<NodeId> removed, std::string last_change)
    : members_(std::move(members)),
      removed_(std::move(removed)),
      cluster_(cluster),
      last_change_(std::move(last_change)) {
  std::sort(members_.begin(), members_.end(),
            [](const Member& a, const Member& b) { return a.node < b.node; });
  std::sort(removed_.begin(), removed_.end());
  CONCORDAT_CHECK(IsValid(members_, removed_))
      << "a configuration with node 0, a node twice, or one that was removed";
  for (const Member& member : members_) {
    if (member.role == MemberRole::kVoter) voters_.push_back(member.node);
  }
}

const Member* Configuration::Find(NodeId node) const {
  const auto it =
      std::find_if(members_.begin(), members_.end(),
                   [node](const Member& member) { return member.node == node; });
  return it == members_.end() ? nullptr : &*it;
}

bool Configuration::IsVoter(NodeId node) const {
  return std::binary_search(voters_.begin(), voters_.end(), node);
}

bool Configuration::WasRemoved(NodeId node) const {
  return std::binary_search(removed_.begin(), removed_.end(), node);
}

bool Configuration::IsOnlyVoter(NodeId node) const {
  return voters_.size() == 1 && voters_.front() == node;
}

uint64_t Configuration::QuorumValue(
    const std::function<uint64_t(NodeId)>& value_of) const {
  if (voters_.empty()) return 0;
  std::vector<uint64_t> values;
  values.reserve(voters_.size());
  for (NodeId voter : voters_) values.push_back(value_of(voter));
  // In descending order, at least QuorumSize() voters have reached the value at the place
  // QuorumSize() - 1.
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(QuorumSize() - 1);
  std::nth_element(values.begin(), place, values.end(), std::greater<>());
  return *place;
}

bool Configuration::HasQuorum(const std::function<bool(NodeId)>& holds) const {
  if (voters_.empty()) return false;
  const auto count = std::count_if(voters_.begin(), voters_.end(), holds);
  return static_cast<size_t>(count) >= QuorumSize();
}

std::string EncodeConfiguration(const Configuration& configuration) {
  ByteWriter out;
  out.U8(kVersion);
  out.U64(configuration.cluster().high);
  out.U64(configuration.cluster().low);
  out.Varint(configuration.members().size());
  for (const Member& member : configuration.members()) WriteMember(member, &out);
  out.Varint(configuration.removed().size());
  for (const NodeId node : configuration.removed()) out.Varint(node.value());
  out.Bytes(configuration.last_change());
  return out.Take();
}

std::optional<Configuration> DecodeConfiguration(std::string_view data) {
  ByteReader in(data);
  if (in.U8() != kVersion) return std::nullopt;
  ClusterKey cluster;
  cluster.high = in.U64();
  cluster.low = in.U64();
  std::vector<Member> members;
  for (uint64_t left = in.Varint(); left > 0; --left) {
    auto member = ReadMember(&in);
    if (!member.has_value() || members.size() == kMaxMembers) return std::nullopt;
    members.push_back(*std::move(member));
  }
  std::vector<NodeId> removed;
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    removed.emplace_back(in.Varint());
    if (removed.size() > kMaxRemoved) return std::nullopt;
  }
  std::string last_change(in.Bytes());
  if (last_change.size() > kMaxLastChangeBytes) return std::nullopt;
  if (!in.complete() || members.empty() || !IsValid(members, removed)) {
    return std::nullopt;
  }
  return Configuration(std::move(members), cluster, std::move(removed),
                       std::move(last_change));
}

}  // namespace concordat::raft
