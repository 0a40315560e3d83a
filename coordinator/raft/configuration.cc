#include "coordinator/raft/configuration.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/byte_codec.h"
#include "coordinator/base/check.h"

namespace concordat::raft {

namespace {

constexpr uint8_t kVersion = 1;
constexpr uint64_t kMaxVoters = 64;

}  // namespace

Configuration::Configuration(std::vector<NodeId> voters, ClusterKey cluster)
    : voters_(std::move(voters)), cluster_(cluster) {
  std::sort(voters_.begin(), voters_.end());
  voters_.erase(std::unique(voters_.begin(), voters_.end()), voters_.end());
  CONCORDAT_CHECK(voters_.empty() || !voters_.front().is_none()) << "node 0 is no node";
}

bool Configuration::IsVoter(NodeId node) const {
  return std::binary_search(voters_.begin(), voters_.end(), node);
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
  out.Varint(configuration.voters().size());
  for (const NodeId node : configuration.voters()) out.Varint(node.value());
  return out.Take();
}

std::optional<Configuration> DecodeConfiguration(std::string_view data) {
  ByteReader in(data);
  if (in.U8() != kVersion) return std::nullopt;
  ClusterKey cluster;
  cluster.high = in.U64();
  cluster.low = in.U64();
  const uint64_t count = in.Varint();
  std::vector<NodeId> voters;
  for (uint64_t i = 0; i < count && i < kMaxVoters && in.ok(); ++i) {
    voters.emplace_back(in.Varint());
    if (voters.back().is_none()) return std::nullopt;
  }
  if (!in.complete() || voters.empty()) return std::nullopt;
  return Configuration(std::move(voters), cluster);
}

}  // namespace concordat::raft
