/**
 * What every service of Concordat shares: names of transactions and branches,
 * outcomes, values, and how a call can end.
 *
 * Versions: fields are only ever added, as optional ones with new numbers, and a
 * number is never used again. A peer that needs to know what the other side
 * understands asks with `hello` and compares the protocol version.
 *
 * How calls travel: over TCP or a Unix socket, in Thrift's FRAMED transport and COMPACT
 * protocol. Who speaks another one is disconnected, and the server's log says what it
 * looked like.
 *
 * Answers on one connection come in any order, each with the sequence id of its call. The
 * clients that Thrift generates for most languages do not look at that id: with them, make
 * one call at a time on a connection, and drop the connection after a time-out, for the
 * late answer would be taken for that of the next call.
 *
 * A connection without a call for 600 s is closed by the server; so is one that has been
 * quiet for a second or more when the server has as many as it may hold and another one
 * comes. Both can be met by a call that is just on its way: its outcome is unknown then.
 *
 * Limits, for a call and for its answer: a frame of 1 MiB; 16,384 elements in a list, set
 * or map, and 65,536 in all of them together; structs in structs to a depth of 16. A larger
 * frame ends the connection; the others are answered with a TApplicationException
 * PROTOCOL_ERROR that names the limit, and nothing was done. Where an answer would be too
 * large, a result with code UNKNOWN comes in its place; lists come in pages and are cut
 * before. 4,096 calls may be under way on one connection; more wait.
 */
namespace cpp concordat.wire
namespace py concordat.wire.types
namespace js concordat.wire

/** Raised when a message of an older peer would be misunderstood. */
const i32 PROTOCOL_VERSION = 1

/**
 * A global transaction: unique for ever within its cluster. Its text form, in logs and on
 * the command line, is group.term.sequence, each in lower-case hexadecimal: 1.7.2a.
 */
struct Gtid {
  /** The Raft group that owns the transaction. */
  1: required i32 group
  /** The term of the leader that handed the gtid out. */
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
  /** Done. */
  OK = 0
  /**
   * Nothing was done: this node is not the leader. Ask leader_hint, or another node; with
   * the same gtid, if the request has one.
   */
  NOT_LEADER = 1
  /** From a participant. Nothing was decided: it cannot tell yet. Repeat in a moment. */
  UNAVAILABLE = 2
  /** Nothing was done: the request itself is wrong; repeating it is of no use. */
  INVALID = 3
  /**
   * Nothing was done: too much work in hand, or the disk is full. Repeat later. A
   * coordinator says so only while it leads.
   */
  OVERLOADED = 4
  /** There is no such thing. Of a transaction: nobody has asked to commit it. */
  NOT_FOUND = 5
  /** The operation lost against another transaction; roll back and run again. */
  CONFLICT = 6
  /** A condition of the operation does not hold (overdraft, compare-and-set). */
  CONDITION_FAILED = 7
  /** The branch has been rolled back or finished; roll the transaction back. */
  BRANCH_GONE = 8
  /** What happened is not known; the text says what to ask, and where. */
  UNKNOWN = 9
  /** The resource failed; the text has its own words. The branch is rolled back. */
  RESOURCE_ERROR = 10
  /**
   * Nothing was done: the caller speaks a protocol version this node does not. Another
   * node may: ask leader_hint, unless this node is it.
   */
  VERSION = 11
  /**
   * Begun, by this request or an earlier one with the same gtid, and not known yet: it
   * may still commit or abort. Repeat with the same gtid, here or at leader_hint; an
   * answer that says "nothing was done" to a repetition does not speak of the earlier
   * request.
   */
  UNDECIDED = 12
  /** Nothing was done: this node leads and is not ready yet. Repeat here in a moment. */
  NOT_READY = 13
  /**
   * The transaction is over, or never was asked to commit and never will be; which of
   * them is not known any more. Nothing was done.
   */
  FORGOTTEN = 14
  /**
   * Nothing was done, also by no earlier request: commit or rollback of the transaction
   * had been asked for before, without this branch.
   */
  TOO_LATE = 15
  /**
   * The call was not done within its deadline. The branch is rolled back; roll the
   * transaction back. Unlike after CONFLICT, another try may well take as long.
   */
  TIMED_OUT = 20
}

/** The part of every reply that says how the call ended. */
struct Result {
  /** How it ended. */
  1: required Code code
  /**
   * In words: what happened, the state of the transaction, what to do next. None:
   * nothing to add.
   */
  2: optional string message
  /**
   * From a coordinator, with NOT_LEADER, UNDECIDED, OVERLOADED, INVALID or VERSION: the
   * leader's client address, this node's own if it leads. None: no leader is known.
   */
  3: optional string leader_hint
}

/** What travels with a call so that it can be followed and given up in time. */
struct CallContext {
  /** The caller's protocol version. */
  1: required i32 version
  /**
   * How long the caller will wait, in milliseconds from now; 1 or more, else INVALID from
   * coordinators. commit, rollback, outcome and enlist are answered by then: UNDECIDED if
   * they have begun, NOT_READY if they have not. None: as long as the callee's default
   * (coordinators: 30 s).
   */
  3: optional i32 deadline_ms
  /** The cluster that the caller believes it speaks to. None or 0: does not know yet. */
  4: optional i64 cluster
}

/** A global transaction's end. */
enum Outcome {
  /** All branches of its set commit, or have. */
  COMMITTED = 1
  /** None of its branches commits; the cause says why. */
  ABORTED = 2
}

/** Why a transaction aborted. */
enum AbortCause {
  /** A resource manager voted no, for a reason that lasts: the same work ends so again. */
  REFUSED = 1
  /** Not all votes came before the deadline. */
  TIMED_OUT = 2
  /** The client asked for it. */
  ROLLED_BACK = 3
  /** A branch in doubt asked, and nobody had asked to commit (presumed abort). */
  PRESUMED = 4
  /** An operator forced it. */
  OPERATOR = 5
  /** One of its branches had been committed alone, in one phase. */
  COMMITTED_ALONE = 6
  /** A branch voted CONFLICT: it lost against another transaction. Run it again. */
  CONFLICT = 7
  /** A branch voted LOST: it was not there any more. It may go well another time. */
  LOST = 8
}

/** When the coordinator may answer COMMITTED. */
enum CommitMode {
  /** When the decision is in the replicated log. */
  DECIDED = 1
  /** When the branch list is in the replicated log and all votes are in. */
  PARALLEL = 2
}

/** A value of a row or a parameter of a statement. Exactly one field is set; none is NULL. */
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
