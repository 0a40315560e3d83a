/** The messages between coordinator nodes. */
namespace cpp concordat.wire
namespace py concordat.wire.raft
namespace js concordat.wire

/** One entry of the replicated log (Raft, section 5.3). */
struct RaftEntry {
  /** The term of the leader that made it. */
  1: required i64 term
  /**
   * What it is: 1 the leader's first entry of its term, 2 a command, 3 the group's
   * configuration.
   */
  2: required i32 type
  /** The entry's bytes. None: it has no data. Its index follows from the message. */
  3: optional binary data
}

/** The kind of a RaftMessage, which determines the fields that count. */
enum RaftMessageType {
  /** Would the receiver vote for the sender in campaign_term? */
  PRE_VOTE_REQUEST = 1
  /** Whether it would; this is no promise. */
  PRE_VOTE_RESPONSE = 2
  /** RequestVote (Figure 2). */
  VOTE_REQUEST = 3
  /** The vote; a granted vote is on disk. */
  VOTE_RESPONSE = 4
  /** AppendEntries (Figure 2); without entries it is a heartbeat. */
  APPEND_REQUEST = 5
  /** Up to where the follower's log agrees and is on disk. */
  APPEND_RESPONSE = 6
  /** InstallSnapshot (Figure 13): one chunk. */
  SNAPSHOT_REQUEST = 7
  /** The part that the follower needs next. */
  SNAPSHOT_RESPONSE = 8
  /** The leader asks the receiver to stand for election at once. */
  TIMEOUT_NOW = 9
}

/**
 * A message of the consensus protocol (Raft, figures 2 and 13; pre-vote: section
 * 9.6 of the dissertation). Which fields count depends on the type; the meaning of
 * each is that of the field of the same name in coordinator/raft/types.h.
 */
struct RaftMessage {
  /** Which message it is. */
  1: required RaftMessageType type
  /** The Raft group. */
  2: required i32 group
  /** The sender's node id. */
  3: required i64 from_node
  /** The receiver's node id; any other node drops the message. */
  4: required i64 to_node
  /** The sender's term. */
  5: required i64 term
  /**
   * Votes: the candidate's last entry. Appends: the entry before the new ones.
   * Snapshots: the snapshot's last entry.
   */
  6: optional i64 log_index
  /** The term of that entry. */
  7: optional i64 log_term
  /** Appends: the leader's commit index, as far as the receiver may use it. */
  8: optional i64 commit_index
  /** Appends: the new entries. None: a heartbeat. */
  9: optional list<RaftEntry> entries
  /** Responses: granted, or the entries were accepted. */
  10: optional bool success
  /** Append responses: up to here the sender's log is durable and equals the leader's. */
  11: optional i64 match_index
  /** Refused appends: the term of the entry at hint_index. */
  12: optional i64 hint_term
  /** Appends and their responses: the read round, for linearizable reads. */
  13: optional i64 read_round
  /** Snapshots: where the chunk begins. */
  14: optional i64 offset
  /** Snapshots: the chunk's bytes. */
  15: optional binary chunk
  /** Snapshots: this is the last chunk. */
  16: optional bool done
  /** Snapshots: the members at the snapshot's last entry, as in an entry of type 3. */
  17: optional binary configuration
  /** Snapshot responses: the offset that the follower needs next. */
  18: optional i64 next_offset
  /** Pre-votes: the term in which the sender would stand for election. */
  19: optional i64 campaign_term
  /** Refused appends: the index that did not match. */
  20: optional i64 rejected_index
  /** Refused appends: the last index at which the logs may agree. */
  21: optional i64 hint_index
  /** Appends: the last entry that the receiver has acknowledged to this leader. */
  22: optional i64 acknowledged_index
  /** Appends: the last entry that it has ever acknowledged to this leader. */
  23: optional i64 promised_index
  /** The term of that entry. */
  24: optional i64 promised_term
  /** Appends and their responses: how often the receiver's tail was found lost. */
  25: optional i64 loss_round
  /** Refused appends: the sender's log is shorter than acknowledged_index. */
  26: optional bool lost_tail
  /** Append responses: the sender has no room for entries or a snapshot. */
  27: optional bool no_space
  /** Vote requests: the leader has asked for this election. */
  28: optional bool leadership_transfer
  /**
   * The cluster's id, 16 bytes. Requests: the cluster of the sender's log. Responses:
   * the cluster to which the sender belongs. None: not known yet.
   */
  29: optional binary cluster
  /** The id of the sender's log. */
  30: optional i64 from_log
  /** The id of the log that the receiver has, by the sender's configuration. */
  31: optional i64 to_log
  /** Pre-vote responses: the receiver was removed from the cluster. */
  32: optional bool removed
}

/** A list of Raft messages. */
struct RaftBatch {
  /** The cluster's name; messages of another one are dropped and logged. */
  1: required string cluster_name
  /** The sender's protocol version. */
  2: required i32 version
  /** In the order in which they were made. */
  3: required list<RaftMessage> messages
  /** Where the sender is reached by the other nodes. None: it does not say. */
  4: optional string peer_address
  /** Where the sender is reached by clients and participants. */
  5: optional string client_address
}

/** Served by every coordinator node to its peers. */
service RaftService {
  /** Delivers messages. There is no answer: Raft repeats what is lost. */
  oneway void deliver(1: required RaftBatch batch)
}
