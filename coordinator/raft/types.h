// What the Raft core is made of: entries, the state that must be durable, and the
// messages between nodes. Plain values: the storage and the peer transport encode
// them, the core never does.
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

// Bytes that are written once and then shared, never copied: one entry's data stands
// in the log, in the message to each follower and in the disk's queue at once.
// Copies are cheap and may be used from any thread.
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

  // Equal bytes; shared ones are not compared.
  friend bool operator==(const Payload& a, const Payload& b) {
    return a.bytes_ == b.bytes_ || a.view() == b.view();
  }

 private:
  std::shared_ptr<const std::string> bytes_;  // null: empty
};

// The numbers go to disk and over the network: never reused for something else.
enum class EntryType : uint8_t {
  kTermStart = 1,      // a leader's first entry of its term, no data (paper, section 8)
  kCommand = 2,        // for the state machine
  kConfiguration = 3,  // who takes part, and the cluster's id: the group's first entry;
                       // a later one would change members, and is refused
};

struct Entry {
  Term term;
  LogIndex index;
  EntryType type = EntryType::kCommand;
  Payload data;

  friend bool operator==(const Entry&, const Entry&) = default;
};

// Must be on disk before any message that follows from it is sent (Figure 2,
// "persistent state on all servers"). The log's entries are the third part of it.
struct HardState {
  Term term;
  NodeId vote;  // whom this node voted for in `term`, itself perhaps; 0 is nobody
  // Whose node this is for good: from the commit of the group's first configuration
  // on. What another cluster's nodes say is refused from then on.
  ClusterKey cluster{};

  friend bool operator==(const HardState&, const HardState&) = default;
};

// What a snapshot stands for: everything up to and including the entry `index`.
struct SnapshotMeta {
  LogIndex index;  // 0: there is no snapshot
  Term term;       // of the entry at `index`
  Configuration configuration;

  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
[[nodiscard]] std::string_view RoleName(Role role);

// --- Messages -------------------------------------------------------------------

// "Would you vote for me in campaign_term?" (thesis, section 9.6). Changes nothing
// at the receiver; the message's own term is the sender's current one.
struct PreVoteRequest {
  Term campaign_term;
  LogIndex last_log_index;
  Term last_log_term;
};
struct PreVoteResponse {
  Term campaign_term;  // of the request
  bool granted = false;
};

// RequestVote of Figure 2.
struct VoteRequest {
  LogIndex last_log_index;
  Term last_log_term;
  // The leader itself has asked for this election, so that who hears it may vote
  // (thesis, section 3.10 and 4.2.3).
  bool leadership_transfer = false;
};
struct VoteResponse {
  bool granted = false;
};

// AppendEntries of Figure 2. Without entries it is a heartbeat, or a probe for where
// the logs agree.
struct AppendRequest {
  LogIndex prev_log_index;
  Term prev_log_term;
  std::vector<Entry> entries;
  LogIndex leader_commit;
  // Where the follower's log ends, as far as it has acknowledged to this leader: a log
  // that is shorter has lost what it promised.
  LogIndex acknowledged_index;
  // The last entry that it ever acknowledged to this leader. Not before
  // acknowledged_index, and behind it while a tail that was lost is sent again.
  LogIndex promised_index;
  Term promised_term;
  // How often this leader has found that the follower lost its tail. The answer carries
  // it back: one from before the loss counts for nothing.
  uint64_t loss_round = 0;
  // Number of the leader's latest read round; the answer carries it back, and so
  // confirms the leader for the reads of that round (thesis, section 6.4).
  uint64_t read_round = 0;
};
struct AppendResponse {
  bool success = false;
  // Success: the follower's log is durable, and is the leader's, up to here.
  LogIndex match_index;
  // Rejection: the prev_log_index that did not match, and from where the leader
  // should try: the last entry of the follower that may agree, with its term.
  LogIndex rejected_index;
  LogIndex hint_index;
  Term hint_term;
  // A rejection: the follower's log ends at hint_index, before acknowledged_index.
  bool lost_tail = false;
  // The follower has no room for entries or a snapshot. A rejection: nothing was
  // stored, and whether the logs agree was not looked at.
  bool no_space = false;
  uint64_t loss_round = 0;  // the latest that it has heard from this leader
  uint64_t read_round = 0;
};

// "You have everything: ask for an election now" (thesis, section 3.10). Only from the
// leader of the term.
struct TimeoutNow {};

// InstallSnapshot of Figure 13, one chunk of it.
struct SnapshotChunk {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Payload data;
  bool last = false;
};
// Not sent for the last chunk: that one is answered, once the snapshot is installed
// and durable, by an AppendResponse.
struct SnapshotChunkResponse {
  LogIndex snapshot_index;
  uint64_t offset = 0;       // of the chunk that is answered
  uint64_t next_offset = 0;  // what the follower wants next; 0 after it lost its part
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
  // Requests: the cluster whose log the sender has. Responses: the one that the sender
  // belongs to for good, none before its commit.
  ClusterKey cluster{};
};

// In readable form: for logs, failed tests, traces of the simulator.
std::ostream& operator<<(std::ostream& out, Role role);
std::ostream& operator<<(std::ostream& out, const Entry& entry);
std::ostream& operator<<(std::ostream& out, const Message& message);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_TYPES_H_
