/**
 * What all services of Concordat share: ids of transactions and branches, outcomes,
 * values, and the ways in which a call can end.
 *
 * Versions: fields are only added, as optional ones with new numbers, and a number is
 * never used again. A peer that needs to know what the other side understands calls
 * `hello` and compares the protocol version.
 *
 * Transport: TCP or a Unix socket, with Thrift's FRAMED transport and COMPACT protocol. A
 * peer that uses another one is disconnected, and the server's log says what its bytes
 * look like.
 *
 * Answers on one connection come in any order, each with the sequence id of its call. The
 * clients that Thrift generates for most languages do not check that id. With such a
 * client, make one call at a time on a connection, and close the connection after a
 * time-out: a late answer would be taken for that of the next call.
 *
 * The server closes a connection that has had no call for 600 s. When it has as many
 * connections as it may have and another one arrives, it closes one that has been quiet
 * for a second or more. A call may be on its way in both cases; its outcome is then
 * unknown.
 *
 * Limits for a call and for its answer: a frame of 1 MiB; 16,384 elements in a list, set
 * or map, and 65,536 in all of them together; nested structs to a depth of 16. A larger
 * frame ends the connection. For the other limits the answer is a TApplicationException
 * PROTOCOL_ERROR that names the limit, and nothing was done. Instead of an answer that is
 * too large, there is a result with code UNKNOWN; lists are divided into pages before
 * that. 4,096 calls may be under way on one connection; more wait.
 */
namespace cpp concordat.wire
namespace py concordat.wire.types
namespace js concordat.wire

/** Increased when messages of an older peer would be misunderstood. */
const i32 PROTOCOL_VERSION = 1

/**
 * A global transaction: unique for ever within its cluster. Its text form, in logs and on
 * the command line, is group.term.sequence, each in lower-case hexadecimal: 1.7.2a.
 */
struct Gtid {
  /** The Raft group that owns the transaction. */
  1: required i32 group
  /** The term of the leader that assigned the gtid. */
  2: required i64 term
  /** Counts within the term, from 1. */
  3: required i64 sequence
}

/**
 * One resource manager's part of a global transaction. Never used twice. Its text form is
 * GTID/RESOURCE/INCARNATION.NUMBER, the last two in lower-case hexadecimal:
 * 1.7.2a/bank-a/5f3c.1.
 */
struct BranchId {
  /** The transaction. */
  1: required Gtid gtid
  /** The resource's name in the cluster. */
  2: required string resource
  /** The incarnation of the participant that started the branch. */
  3: required i64 incarnation
  /** Counts the branches of that incarnation, from 1. */
  4: required i64 number
}

/** How a call ended. Only OK carries the reply's other fields, unless said there. */
enum Code {
  /** The call was done. */
  OK = 0
  /**
   * Nothing was done: this node is not the leader. Ask leader_hint or another node, with
   * the same gtid if the request has one.
   */
  NOT_LEADER = 1
  /** From a participant: it cannot answer yet, and nothing was decided. Repeat soon. */
  UNAVAILABLE = 2
  /** Nothing was done: the request is wrong, and it is of no use to repeat it. */
  INVALID = 3
  /**
   * Nothing was done: there is too much work, or the disk is full. Repeat later. A
   * coordinator answers so only while it leads.
   */
  OVERLOADED = 4
  /** It does not exist. For a transaction: its commit was not requested. */
  NOT_FOUND = 5
  /** The operation lost against another transaction; roll back and run again. */
  CONFLICT = 6
  /** A condition of the operation does not hold (overdraft, compare-and-set). */
  CONDITION_FAILED = 7
  /** The branch was rolled back or is finished; roll the transaction back. */
  BRANCH_GONE = 8
  /** It is not known what happened; the message says what to ask, and where. */
  UNKNOWN = 9
  /** The resource failed; the message has its own error. The branch is rolled back. */
  RESOURCE_ERROR = 10
  /**
   * Nothing was done: this node does not know the caller's protocol version. Another
   * node may: ask leader_hint, unless that is this node.
   */
  VERSION = 11
  /**
   * Begun, by this request or an earlier one with the same gtid; the outcome is not known
   * yet: it may commit or abort. Repeat with the same gtid, here or at leader_hint. If a
   * repetition is answered "nothing was done", that is not about the earlier request.
   */
  UNDECIDED = 12
  /** Nothing was done: this node leads but is not ready yet. Repeat here soon. */
  NOT_READY = 13
  /**
   * The transaction is over, or its commit was never requested and never will be; it is
   * no longer known which. Nothing was done.
   */
  FORGOTTEN = 14
  /**
   * Nothing was done, neither by this request nor by an earlier one: commit or rollback
   * of the transaction had been requested before, without this branch.
   */
  TOO_LATE = 15
  /**
   * The call was not done within its deadline. The branch is rolled back; roll the
   * transaction back. Unlike after CONFLICT, another attempt may take as long.
   */
  TIMED_OUT = 20
}

/** The part of every reply that says how the call ended. */
struct Result {
  /** How it ended. */
  1: required Code code
  /**
   * A text: what happened, the state of the transaction, what to do next. None: nothing
   * to add.
   */
  2: optional string message
  /**
   * From a coordinator, with NOT_LEADER, UNDECIDED, OVERLOADED, INVALID or VERSION: the
   * leader's client address, this node's own if it leads. None: no leader is known.
   */
  3: optional string leader_hint
}

/** What every call says about its caller. */
struct CallContext {
  /** The caller's protocol version. */
  1: required i32 version
  /**
   * How long the caller will wait, in milliseconds from now; must be 1 or more, otherwise
   * coordinators answer INVALID. commit, rollback, outcome and enlist are answered before
   * that: UNDECIDED if they have begun, NOT_READY if they have not. None: the callee's
   * default (coordinators: 30 s).
   */
  3: optional i32 deadline_ms
  /** The cluster that the caller expects. None or 0: it does not know it yet. */
  4: optional i64 cluster
}

/** How a global transaction has ended. */
enum Outcome {
  /** All branches of its set commit, or have committed. */
  COMMITTED = 1
  /** None of its branches commits; the cause says why. */
  ABORTED = 2
}

/** Why a transaction aborted. */
enum AbortCause {
  /** A resource manager voted no, and would do so again for the same work. */
  REFUSED = 1
  /** Not all votes arrived before the deadline. */
  TIMED_OUT = 2
  /** The client requested the rollback. */
  ROLLED_BACK = 3
  /** A branch in doubt inquired, and the commit had not been requested. */
  PRESUMED = 4
  /** An operator decided it. */
  OPERATOR = 5
  /** One of its branches had been committed in one phase. */
  COMMITTED_ALONE = 6
  /** A branch voted CONFLICT: it lost against another transaction. Run it again. */
  CONFLICT = 7
  /** A branch voted LOST: it did not exist any more. Another attempt may succeed. */
  LOST = 8
}

/** When the coordinator may answer COMMITTED. */
enum CommitMode {
  /** When the decision is in the replicated log. */
  DECIDED = 1
  /** When the list of branches is in the replicated log and all have voted. */
  PARALLEL = 2
}

/**
 * A value of a row or a parameter of a statement. Exactly one field is set; none is NULL.
 */
struct Value {
  /** A signed integer of 64 bits. */
  1: optional i64 integer
  /** A floating-point number of 64 bits. */
  2: optional double real
  /** Text in UTF-8. */
  3: optional string text
  /** Bytes. */
  4: optional binary blob
}
