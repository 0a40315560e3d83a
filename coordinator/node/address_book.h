// AddressBook: where the nodes of a cluster are reached. Three sources say it:
//
//   the node itself          with each message that it sends; it knows best
//   the members' list        the configuration in the log
//   how this node was started
//
// They agree, as a rule. When a node moves, its own word is ahead of the list until the
// leader has entered it there; when all nodes have moved, what they were started with is
// all that is true.
//
// For the node's loop. It reads no clock.
#ifndef COORDINATOR_NODE_ADDRESS_BOOK_H_
#define COORDINATOR_NODE_ADDRESS_BOOK_H_

#include <map>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/member_change.h"

namespace concordat::node {

// Both as host:port or unix:/path. Empty: not known.
struct NodeAddresses {
  std::string peer;    // for the other nodes
  std::string client;  // for clients and participants

  friend bool operator==(const NodeAddresses&, const NodeAddresses&) = default;
};

class AddressBook {
 public:
  // `started_with` may name the node itself too.
  AddressBook(NodeId self, std::map<NodeId, NodeAddresses> started_with);

  // The members have changed.
  void SetMembers(const raft::Configuration& members);
  // A message of that node was taken, which said that it is reached there. True: that is
  // news, and peers() or clients() may be others.
  bool Heard(NodeId node, const NodeAddresses& said, Timestamp now);
  // About once a second: a node from which nothing is heard is tried at the next of the
  // addresses that are known for it.
  void TryOthers(Timestamp now);

  // Where each other node is tried now; members, and nodes that were heard of without
  // being members here. Nodes without an address are left out.
  [[nodiscard]] const std::map<NodeId, std::string>& peers() const { return peers_; }
  // The members, with the addresses for clients, and this node.
  [[nodiscard]] const std::map<NodeId, std::string>& clients() const { return clients_; }
  // How the list differs from what members say of themselves. A leader enters it.
  [[nodiscard]] std::vector<raft::MemberChange> Moved() const;

 private:
  struct Known {
    NodeAddresses said;     // by itself
    NodeAddresses listed;   // in the configuration
    NodeAddresses started;  // as this node was started
    bool member = false;
    Timestamp heard_at;
    size_t attempt = 0;  // which of its addresses is tried

    // Without duplicates, the best first.
    [[nodiscard]] std::vector<std::string> PeerAddresses() const;
    [[nodiscard]] const std::string& ClientAddress() const;
  };
  void Refresh();

  const NodeId self_;
  std::map<NodeId, Known> known_;
  std::map<NodeId, std::string> peers_;
  std::map<NodeId, std::string> clients_;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_ADDRESS_BOOK_H_
