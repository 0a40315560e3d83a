#include "coordinator/node/address_book.h"

#include <algorithm>
#include <utility>

namespace concordat::node {

namespace {

constexpr Duration kSilentAfter = Duration::Seconds(2);
// Nodes that are no members here; anybody on the network can say to be one.
constexpr size_t kMaxStrangers = 16;

}  // namespace

AddressBook::AddressBook(NodeId self, std::map<NodeId, NodeAddresses> started_with)
    : self_(self) {
  for (auto& [node, addresses] : started_with) {
    known_[node].started = std::move(addresses);
  }
  Refresh();
}

std::vector<std::string> AddressBook::Known::PeerAddresses() const {
  std::vector<std::string> addresses;
  for (const NodeAddresses* source : {&said, &listed, &started}) {
    const bool known =
        source->peer.empty() ||
        std::find(addresses.begin(), addresses.end(), source->peer) != addresses.end();
    if (!known) addresses.push_back(source->peer);
  }
  return addresses;
}

const std::string& AddressBook::Known::ClientAddress() const {
  if (!said.client.empty()) return said.client;
  return listed.client.empty() ? started.client : listed.client;
}

void AddressBook::SetMembers(const raft::Configuration& members) {
  for (auto& [node, known] : known_) {
    known.member = false;
    known.listed = NodeAddresses();
  }
  for (const raft::Member& member : members.members()) {
    Known& known = known_[member.node];
    const NodeAddresses listed{member.peer_address, member.client_address};
    known.member = true;
    if (known.listed != listed) known.attempt = 0;
    known.listed = listed;
  }
  std::erase_if(known_, [&members](const auto& node) {
    return !members.empty() && members.WasRemoved(node.first);
  });
  Refresh();
}

bool AddressBook::Heard(NodeId node, const NodeAddresses& said, Timestamp now) {
  if (node == self_) return false;
  const auto found = known_.find(node);
  if (found == known_.end()) {
    const auto strangers = std::count_if(
        known_.begin(), known_.end(), [](const auto& one) { return !one.second.member; });
    if (static_cast<size_t>(strangers) >= kMaxStrangers) return false;
  }
  Known& known = known_[node];
  known.heard_at = now;
  if (said.peer.empty() || known.said == said) return false;
  known.said = said;
  known.attempt = 0;
  Refresh();
  return true;
}

void AddressBook::TryOthers(Timestamp now) {
  bool changed = false;
  for (auto& [node, known] : known_) {
    const size_t count = known.PeerAddresses().size();
    if (count < 2 || now - known.heard_at < kSilentAfter) continue;
    known.attempt = (known.attempt + 1) % count;
    known.heard_at = now;  // as long as the next one is tried
    changed = true;
  }
  if (changed) Refresh();
}

void AddressBook::Refresh() {
  peers_.clear();
  clients_.clear();
  for (const auto& [node, known] : known_) {
    const std::vector<std::string> addresses = known.PeerAddresses();
    if (node != self_ && !addresses.empty()) {
      peers_[node] = addresses[known.attempt % addresses.size()];
    }
    if ((known.member || node == self_) && !known.ClientAddress().empty()) {
      clients_[node] = known.ClientAddress();
    }
  }
}

std::vector<raft::MemberChange> AddressBook::Moved() const {
  std::vector<raft::MemberChange> moved;
  for (const auto& [node, known] : known_) {
    const NodeAddresses& now = node == self_ ? known.started : known.said;
    if (!known.member || now.peer.empty() || now == known.listed) continue;
    raft::MemberChange change;
    change.kind = raft::MemberChange::Kind::kSetAddress;
    change.node = node;
    change.peer_address = now.peer;
    change.client_address = now.client;
    change.record = "as the node itself says";
    moved.push_back(std::move(change));
  }
  return moved;
}

}  // namespace concordat::node
