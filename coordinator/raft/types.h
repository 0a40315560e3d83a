// The values of the Raft core: entries, the state that must be durable, and the messages
// between nodes. The storage and the peer transport encode them; the core never does.
//
// "The paper" is Ongaro and Ousterhout, In Search of an Understandable Consensus
// Algorithm (extended version); "the thesis" is Ongaro, Consensus: Bridging Theory
// and Practice.
#ifndef COORDINATOR_RAFT_TYPES_H_
#define COORDINATOR_RAFT_TYPES_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"

namespace concordat::raft {

// Immutable bytes that copies share: the data of one entry is in the log, in the message
// to each follower and in the disk's queue at the same time. A copy is cheap and may be
// used from any thread.
class Payload {
 public:
  Payload() = default;
  explicit Payload(std::string bytes)
      : bytes_(bytes.empty() ? nullptr
                             : std::make_shared<const std::string>(std::move(bytes))) {}

  [[nodiscard]] std::string_view view() const {
    return bytes_ == nullptr ? std::string_view() : std::string_view(*bytes_);
  }
  [[nodiscard]] size_t size() const { return bytes_ == nullptr ? 0 : bytes_->size(); }

  // Whether the bytes are equal. Shared bytes are not compared.
  friend bool operator==(const Payload& a, const Payload& b) {
    return a.bytes_ == b.bytes_ || a.view() == b.view();
  }

 private:
  std::shared_ptr<const std::string> bytes_;  // null: empty
};

// The numbers are stored on disk and sent over the network, so none may change its
// meaning.
enum class EntryType : uint8_t {
  kTermStart = 1,      // a leader's first entry of its term, no data (paper, section 8)
  kCommand = 2,        // for the state machine
  kConfiguration = 3,  // the members and the cluster's id: the group's first entry, and
                       // each later change of its members
};

struct Entry {
  Term term;
  LogIndex index;
  EntryType type = EntryType::kCommand;
  Payload data;

  friend bool operator==(const Entry&, const Entry&) = default;
};

// Must be on disk before any message that depends on it is sent. With the log's entries
// it is what Figure 2 calls the "persistent state on all servers".
struct HardState {
  Term term;
  NodeId vote;  // for whom this node has voted in `term`, perhaps for itself; 0: nobody
  // The cluster to which this node belongs for ever, from the commit of the group's first
  // configuration on; none before. Messages of other clusters are then refused.
  ClusterKey cluster{};

  friend bool operator==(const HardState&, const HardState&) = default;
};

// Describes a snapshot, which stands for all entries up to and including `index`.
struct SnapshotMeta {
  LogIndex index;               // 0: there is no snapshot
  Term term;                    // of the entry at `index`
  Configuration configuration;  // as of `index`

  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
[[nodiscard]] std::string_view RoleName(Role role);

// --- Messages -------------------------------------------------------------------

// "Would you vote for me in campaign_term?" (thesis, section 9.6). It changes nothing at
// the receiver. Message::term is the sender's current term.
struct PreVoteRequest {
  Term campaign_term;  // in which the sender would stand for election
  LogIndex last_log_index;
  Term last_log_term;
};
struct PreVoteResponse {
  Term campaign_term;  // of the request
  bool granted = false;
  // The receiver of this answer is no member any more: that is committed.
  bool removed = false;
};

// RequestVote of Figure 2.
struct VoteRequest {
  LogIndex last_log_index;
  Term last_log_term;
  // The leader itself has asked for this election, so that nodes which still hear from it
  // may vote (thesis, sections 3.10 and 4.2.3).
  bool leadership_transfer = false;
};
struct VoteResponse {
  bool granted = false;
};

// AppendEntries of Figure 2. Without entries it is a heartbeat, or a probe for the place
// where the logs agree.
struct AppendRequest {
  LogIndex prev_log_index;  // of the entry before `entries`
  Term prev_log_term;
  std::vector<Entry> entries;
  LogIndex leader_commit;  // the leader's commit index, at most the last of `entries`
  // The last entry that the follower has acknowledged to this leader, since its tail was
  // last found lost. A follower whose log is shorter has lost what it had promised.
  LogIndex acknowledged_index;
  // The last entry that the follower has ever acknowledged to this leader. Equal to
  // acknowledged_index, or higher while a tail that was lost is sent again.
  LogIndex promised_index;
  Term promised_term;
  // How often this leader has found that the follower lost its tail. The answer repeats
  // the number: an answer from before the last loss does not count.
  uint64_t loss_round = 0;
  // The leader's latest read round. The answer repeats the number and thereby confirms
  // the leader for the reads of that round (thesis, section 6.4).
  uint64_t read_round = 0;
};
struct AppendResponse {
  bool success = false;
  // Success: up to here the follower's log is durable and equals the leader's.
  LogIndex match_index;
  // Rejection: the prev_log_index that did not match, and the index from which the leader
  // should try next: the follower's last entry that may agree, and its term.
  LogIndex rejected_index;
  LogIndex hint_index;
  Term hint_term;
  // A rejection because the follower's log ends at hint_index, before
  // acknowledged_index.
  bool lost_tail = false;
  // The follower has no room for entries or a snapshot. A rejection with this flag means
  // that nothing was stored; whether the logs agree was not checked.
  bool no_space = false;
  uint64_t loss_round = 0;  // the latest loss_round that it has got from this leader
  uint64_t read_round = 0;  // the read_round of the request
};

// "You have the whole log: stand for election now" (thesis, section 3.10). Sent only by
// the leader of the term.
struct TimeoutNow {};

// One chunk of InstallSnapshot (Figure 13).
struct SnapshotChunk {
  SnapshotMeta meta;
  uint64_t offset = 0;  // of `data` in the snapshot
  Payload data;
  bool last = false;  // the snapshot ends with this chunk
};
// Answers every chunk but the last, which is answered by an AppendResponse once the
// snapshot is installed and durable.
struct SnapshotChunkResponse {
  LogIndex snapshot_index;   // of the snapshot that is being received
  uint64_t offset = 0;       // of the chunk that is answered
  uint64_t next_offset = 0;  // what the follower needs next; 0 when it has no part
};

struct Message {
  using Body = std::variant<PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse,
                            AppendRequest, AppendResponse, SnapshotChunk,
                            SnapshotChunkResponse, TimeoutNow>;

  GroupId group;
  NodeId from;
  NodeId to;
  Term term;  // the sender's current term
  Body body;
  // In a request, the cluster whose log the sender has. In a response, the cluster to
  // which the sender belongs (HardState::cluster); none before that is known.
  ClusterKey cluster{};
  LogId from_log{};  // the sender's log
  // The log that the receiver has by the sender's configuration. A node with another one
  // is not that member. None: not known.
  LogId to_log{};
};

// Whether it is an answer to a request.
[[nodiscard]] bool IsAnswer(const Message::Body& body);

// Text for logs, failed tests and the simulator's traces.
std::ostream& operator<<(std::ostream& out, Role role);
std::ostream& operator<<(std::ostream& out, const Entry& entry);
std::ostream& operator<<(std::ostream& out, const Message& message);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_TYPES_H_
