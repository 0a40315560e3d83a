/** The members of a cluster of coordinators, and changes of them. */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire.members
namespace js concordat.wire

/** What a member is for. */
enum MemberRole {
  /** It votes, and counts for every majority. */
  VOTER = 1
  /** It is sent the log, and counts for no majority. */
  LEARNER = 2
}

/** A member of the cluster: a coordinator node that is sent the log. */
struct MemberInfo {
  /** The node's id. */
  1: required i64 node
  /** What it is for. */
  2: required MemberRole role
  /** Where the other nodes reach it. */
  3: required string peer_address
  /** Where clients and participants reach it. */
  4: required string client_address
  /** The id of its log. None: it has not been heard of yet. */
  5: optional i64 log
  /** Only from the leader: it was heard of lately, and has lost nothing. */
  6: optional bool live
  /** Only from the leader: a learner has caught up, and can be promoted. */
  7: optional bool caught_up
  /** Only from the leader: up to here it has the log. */
  8: optional i64 match_index
}

/**
 * The members as a node knows them. All nodes say the same for the same `index`; a node
 * that lags says what was so at its own.
 */
struct MembersReply {
  /** How the call ended. */
  1: required types.Result result
  /** The log entry that holds them. 0: they are what the node was started with. */
  2: optional i64 index
  /** That entry is log-committed, so that no failure takes it back. */
  3: optional bool committed
  /** In the order of their ids. Empty: the node waits to be added to a cluster. */
  4: optional list<MemberInfo> members
  /** Nodes that were members; their ids are never used again. */
  5: optional list<i64> removed
  /** The change that led here: what, by whom and why. */
  6: optional string last_change
  /** The node that answers. */
  7: optional i64 node
  /** The leader's node id; 0: none is known. */
  8: optional i64 leader
}

/** What is to be done with a member. */
enum MemberAction {
  /** A new member, as a learner. `peer_address` and `client_address` are needed. */
  ADD = 1
  /** A learner that has caught up becomes a voter. */
  PROMOTE = 2
  /** A voter becomes a learner. */
  DEMOTE = 3
  /** It is no member any more, and its id is never used again. */
  REMOVE = 4
  /** Its log is lost: a learner, which takes the first other log that answers. */
  REPLACE = 5
  /** It is reached elsewhere. An address that is not given stays. */
  ADDRESS = 6
  /** Leadership goes to it; with node 0, to the voter that has the most of the log. */
  TRANSFER = 7
}

/** Changes one member. */
struct ChangeMemberRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** What is to be done. */
  2: required MemberAction action
  /** With which node. */
  3: required i64 node
  /** Where the other nodes reach it. */
  4: optional string peer_address
  /** Where clients and participants reach it. */
  5: optional string client_address
  /** Do nothing, and say what would happen. */
  6: optional bool dry_run
  /**
   * Do it although afterwards no majority is sure to answer, or a learner has not caught
   * up. The reason is needed then.
   */
  7: optional bool force
  /** The operator's name; it is recorded. */
  8: required string by
  /** Why; it is recorded. */
  9: optional string reason
}

struct ChangeMemberReply {
  /**
   * OK: done, and log-committed (with dry_run: it could be done now). After each of these
   * codes nothing was changed:
   *   INVALID           the request makes no sense with these members
   *   NOT_FOUND         the node is not a member
   *   CONDITION_FAILED  no majority would be sure to answer afterwards, or the learner has
   *                     not caught up; `force` does it all the same
   *   NOT_READY         not now: another change is under way, or the leader is new. Repeat
   *   NOT_LEADER        ask the leader
   * UNDECIDED: begun, and the leader has stepped down: list the members, and repeat it if
   * it is not there.
   */
  1: required types.Result result
  /** The members afterwards. */
  2: optional list<MemberInfo> members
  /** How many voters make a majority afterwards. */
  3: optional i32 quorum
  /** The voters afterwards that are sure to answer. */
  4: optional list<i64> live_voters
  /** The log entry that holds the change. None: with dry_run. */
  5: optional i64 index
}
