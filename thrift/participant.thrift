/**
 * What coordinators and clients ask a participant: the process that serves resource
 * managers. How calls travel, and their limits: types.thrift.
 */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire.participant
namespace js concordat.wire

/** How a branch voted (X/Open XA, xa_prepare). */
enum Vote {
  /** The branch is on disk and will do as it is told. */
  PREPARED = 1
  /** Nothing was written; the branch is over. */
  READ_ONLY = 2
  /**
   * No, for a reason that lasts (a constraint, a right, a disk that is full): the branch
   * is rolled back, and the same work will be refused again.
   */
  REFUSED = 3
  /** Cannot tell now (recovering, or another instance has the branch). Ask again. */
  UNAVAILABLE = 4
  /** The branch had already been committed in one phase. */
  COMMITTED_ALONE = 5
  /**
   * No: the branch lost against another transaction (a lock, a deadlock, a serialization
   * failure) and is rolled back. Another run may go well.
   */
  CONFLICT = 6
  /**
   * No: the branch is not there. It was rolled back before, idle for too long, or lost
   * with an earlier incarnation of the participant. Another run may go well.
   */
  LOST = 7
}

struct PrepareResult {
  /** The vote. */
  1: required Vote vote
  /**
   * With anything but PREPARED and READ_ONLY: why, in words. None: nothing to add.
   */
  2: optional string detail
}

/** How a branch ended after it was told the outcome. */
enum FinishState {
  /** Done and durable; or the branch is not there, which is as good. */
  DONE = 1
  /** Not now; ask again. */
  RETRY = 2
  /**
   * The branch had ended the other way (this and the next three: X/Open XA_HEURCOM,
   * XA_HEURRB, XA_HEURMIX, XA_HEURHAZ): it was told to roll back, and had committed.
   */
  HEURISTIC_COMMIT = 3
  /** It was told to commit, and had been rolled back. */
  HEURISTIC_ROLLBACK = 4
  /** Part of it was committed, part rolled back. */
  HEURISTIC_MIXED = 5
  /** It ended, and nobody can tell how. */
  HEURISTIC_HAZARD = 6
}

struct FinishResult {
  /** How it ended. */
  1: required FinishState state
  /** With anything but DONE: why, in words. */
  2: optional string detail
}

/** One list of branches, at one participant. */
struct BranchList {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The branches, of any transactions and any resources of this participant. */
  2: required list<types.BranchId> branches
  /**
   * For rollback: a coordinator's decision. Without it, from a client, only branches
   * that have not been asked to vote are rolled back; the others answer RETRY. None: false.
   */
  3: optional bool decided
}

/** One vote a branch, in the order of the request. */
struct PrepareReply {
  /** Of the call as a whole. */
  1: required types.Result result
  /** With OK: as many as there were branches. */
  2: optional list<PrepareResult> votes
}

/** One item a branch, in the order of the request. */
struct FinishReply {
  /** Of the call as a whole. */
  1: required types.Result result
  /** With OK: as many as there were branches. */
  2: optional list<FinishResult> items
}

/** Starts a branch (X/Open XA, xa_start). */
struct StartOptions {
  /**
   * The transaction counts as old as this one when locks collide; a retry names its
   * first gtid. None: as old as it is.
   */
  1: optional types.Gtid age
  /**
   * The resource manager's name for an isolation level, such as read-committed or
   * serializable. None: its default.
   */
  2: optional string isolation
  /**
   * An active branch without a call for this long is rolled back, in milliseconds.
   * None or 0: as the participant was told (30,000 by default).
   */
  3: optional i32 idle_timeout_ms
  /**
   * The application runs the branch on a connection of its own and prepares it itself:
   * the call only asks for a branch, with no work, and the reply has `application_managed`. Found in
   * doubt, the branch is left alone until it has been prepared for this long, in
   * milliseconds (1,000 to 65,535,000, rounded up to seconds). None: an ordinary branch.
   */
  4: optional i32 grace_period_ms
}

/**
 * What an application says on its own connection to run a branch there, in the
 * language of the database. Any client library can follow it without knowing more.
 */
struct ApplicationManagedBranch {
  /**
   * A query, to be run first, outside of a transaction. It gives one text: why the
   * branch cannot run on this connection; empty: it can.
   */
  1: required string check
  /** Statements that begin the branch. */
  2: required list<string> start
  /**
   * Statements that end it, prepared, after the application's work. All must succeed;
   * the database's own pitfalls in telling that are the client library's.
   */
  3: required list<string> prepare
  /** A query that gives true in the branch, and only there. */
  4: required string inside
}

/** One operation of the KV resource manager. */
enum KvVerb {
  /** The pair of `key`, if it has a value. */
  GET = 1
  /** Gives `key` the value `value`. */
  PUT = 2
  /** Takes the value of `key` away; there need not be one. */
  DELETE = 3
  /**
   * Adds `delta` to an integer value, which is decimal text (none counts as 0), unless
   * the sum is below `at_least`.
   */
  ADD_IF_AT_LEAST = 4
  /** Puts `value` if the present value is `expected` (none set: if there is no value). */
  COMPARE_AND_SET = 5
  /**
   * Keys from `key` (included) to `end_key` (excluded; empty: to the end), at most
   * `limit`.
   */
  RANGE = 6
}

struct KvOperation {
  /** What to do; says which of the other fields count. */
  1: required KvVerb verb
  /** The key, any bytes; RANGE: the first one. */
  2: required binary key
  /** PUT, COMPARE_AND_SET: the new value. It has to be given. */
  3: optional binary value
  /** COMPARE_AND_SET: the value that must be there. None: there must be none. */
  4: optional binary expected
  /** ADD_IF_AT_LEAST: what is added; may be negative. It has to be given. */
  5: optional i64 delta
  /** ADD_IF_AT_LEAST: the smallest sum allowed. None: any. */
  6: optional i64 at_least
  /** RANGE: the first key behind it. None or empty: to the last key. */
  7: optional binary end_key
  /**
   * RANGE: the most pairs, at least 1. None: as many as the shard allows (10,000 by
   * default).
   */
  8: optional i32 limit
}

struct KvPair {
  /** The key. */
  1: required binary key
  /** Its value. */
  2: required binary value
  /** The transaction-independent version of the value; grows with every change. */
  3: required i64 version
}

/** What one KV operation gave. */
struct KvResult {
  /** GET, RANGE: what was found; empty: nothing. None: with other verbs. */
  1: optional list<KvPair> pairs
  /** ADD_IF_AT_LEAST: the new sum. None: with other verbs. */
  2: optional i64 sum
}

/** One SQL statement with its parameters. */
struct SqlStatement {
  /**
   * One statement, in the resource's own dialect, with its placeholders: ? in SQLite and
   * MariaDB, $1 in PostgreSQL.
   */
  1: required string sql
  /** The values of its parameters, in their order. None: it has none. */
  2: optional list<types.Value> parameters
}

struct SqlRow {
  /** One a column, in the order of the columns. */
  1: required list<types.Value> values
}

struct SqlResult {
  /** The names of the columns. None: the statement gives no rows. */
  1: optional list<string> columns
  /** The rows, all of them; empty: it found none. None: the statement gives no rows. */
  2: optional list<SqlRow> rows
  /** How many rows the statement changed. None: it is a query. */
  3: optional i64 changed
}

/**
 * Work in a branch. One of kv, sql, opaque is set; with none the branch is started, or
 * kept from idling, and nothing is done. What each kind of resource takes, its limits and
 * its types are in docs/resource-managers.md.
 */
struct ExecuteRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The branch; or not set, with `start`, to start one and work in it in one call. */
  2: optional types.BranchId branch
  /**
   * With no branch: the transaction to start one for; not read when `branch` is set. When
   * the answer is lost the branch may be there, its id is not known, and its locks go with
   * its idle time-out. A repeat is refused where a transaction has one branch at a time
   * (RESOURCE_ERROR: PostgreSQL, MariaDB, X/Open); elsewhere it starts another one, which
   * loses against the first (CONFLICT). So listen longer for this one than `deadline_ms`,
   * which the participant keeps to, and roll the transaction back when no answer came.
   */
  3: optional types.Gtid start
  /** With start: the resource. */
  4: optional string resource
  /** With start: how. None: all defaults. */
  5: optional StartOptions options
  /**
   * Counts the calls in the branch, from 1, which is that of the call with `start`. A
   * repeat of the last number gets the last answer again and does nothing twice; any
   * number but that and the next is INVALID. One call at a time in a branch.
   */
  6: required i64 call_number
  /** Operations, done in order; the first that fails ends the list and fails the call. */
  7: optional list<KvOperation> kv
  /**
   * Statements, done in order; the first that fails ends the list and fails the call.
   */
  8: optional list<SqlStatement> sql
  /** Work for a user's own resource manager, in its own encoding. */
  9: optional binary opaque
  /**
   * This is the branch's last work, and the transaction's other branches have had theirs,
   * or are having it now: a resource that can do so prepares the branch in the same step
   * (an unsolicited vote). None: no.
   */
  10: optional bool prepare
}

struct ExecuteReply {
  /**
   * CONFLICT, BRANCH_GONE, RESOURCE_ERROR, TIMED_OUT: the branch is rolled back, or, with
   * `start`, none was started; the transaction cannot be committed any more. INVALID:
   * the call did nothing; the branch lives on, and with `start` none was started. OVERLOADED,
   * UNAVAILABLE, NOT_FOUND: with `start` none was started; else roll it back.
   * CONDITION_FAILED: operations of this call are undone where the resource can;
   * the branch lives on, and the message says which operation failed.
   */
  1: required types.Result result
  /** The branch, also when this call started it. None: there is none. */
  2: optional types.BranchId branch
  /** With OK to kv work: one result an operation, in their order. */
  3: optional list<KvResult> kv
  /** With OK to sql work: one result a statement, in their order. */
  4: optional list<SqlResult> sql
  /** With OK to opaque work: the resource manager's own answer. */
  5: optional binary opaque
  /**
   * With OK to grace_period_ms: how to run the branch. None: an ordinary branch, or a
   * participant that does not know of others.
   */
  6: optional ApplicationManagedBranch application_managed
  /**
   * With `prepare`: the branch has voted PREPARED, and the vote is on the disk; only the
   * coordinators end it now. None: it is as it would be without `prepare`.
   */
  7: optional bool prepared
}

/** What became of a branch that was to be committed in one phase. */
struct OnePhaseReply {
  /**
   * OK: outcome is final. Anything else but INVALID: repeat, the answer is kept with
   * the data.
   */
  1: required types.Result result
  /** With OK: what became of the branch, for ever. */
  2: optional types.Outcome outcome
  /** With ABORTED: REFUSED, CONFLICT or LOST. None: REFUSED. */
  3: optional types.AbortCause cause
}

/** A branch that a participant holds. */
struct HeldBranch {
  /** The branch. */
  1: required types.BranchId branch
  /** active, preparing, prepared, … */
  2: required string state
  /** Milliseconds in that state. */
  3: required i64 age_ms
}

struct RecoverReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: all that are not over, of all its resources. */
  2: optional list<HeldBranch> branches
}

/**
 * Served by every participant. `prepare`, `commit`, and `rollback` with `decided`, are the
 * coordinators': a client that calls them settles branches behind their back, and what it
 * did is put on record as a heuristic outcome, if it is noticed. Nothing stops it in this
 * version, which knows no roles.
 */
service ParticipantService {
  ExecuteReply execute(1: required ExecuteRequest request)
  /** The coordinators'. Votes; each follows its flush. */
  PrepareReply prepare(1: required BranchList request)
  /** The coordinators'. Commits prepared branches; DONE follows the flush. */
  FinishReply commit(1: required BranchList request)
  /** A client's for branches that have not been asked to vote; see BranchList.decided. */
  FinishReply rollback(1: required BranchList request)
  /**
   * Commits an active branch at once, for a transaction of one branch. Exactly one branch,
   * else INVALID.
   */
  OnePhaseReply commitOnePhase(1: required BranchList request)
  /** The branches of this participant that are not over (X/Open XA, xa_recover). */
  RecoverReply recover(1: required types.CallContext context)
}
