/**
 * The calls of coordinators and clients to a participant, the process that serves
 * resource managers. types.thrift describes the transport and its limits.
 */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire.participant
namespace js concordat.wire

/** How a branch voted (X/Open XA, xa_prepare). */
enum Vote {
  /** The branch is on disk and can commit and roll back. */
  PREPARED = 1
  /** Nothing was written; the branch is over. */
  READ_ONLY = 2
  /**
   * No, for a lasting reason (a constraint, a missing right, a full disk): the branch is
   * rolled back, and the same work will be refused again.
   */
  REFUSED = 3
  /** Not known now (recovering, or another instance has the branch). Ask again. */
  UNAVAILABLE = 4
  /** The branch had already been committed in one phase. */
  COMMITTED_ALONE = 5
  /**
   * No: the branch lost against another transaction (a lock, a deadlock, a serialization
   * failure) and is rolled back. Another attempt may succeed.
   */
  CONFLICT = 6
  /**
   * No: the branch does not exist. It was rolled back before, was idle for too long, or
   * was lost with an earlier incarnation of the participant. Another attempt may succeed.
   */
  LOST = 7
}

struct PrepareResult {
  /** The vote. */
  1: required Vote vote
  /**
   * A text: the reason, unless PREPARED or READ_ONLY. None: nothing to add.
   */
  2: optional string detail
}

/** How a branch has ended after it was told the outcome. */
enum FinishState {
  /** Done and durable; or the branch does not exist, which means the same. */
  DONE = 1
  /** Not done yet; repeat the call. */
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
  /** It has ended, and it cannot be found out how. */
  HEURISTIC_HAZARD = 6
}

struct FinishResult {
  /** How it ended. */
  1: required FinishState state
  /** A text: the reason, unless DONE. */
  2: optional string detail
}

/** A list of branches of one participant. */
struct BranchList {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The branches, of any transactions and of any resources of this participant. */
  2: required list<types.BranchId> branches
  /**
   * For rollback: it is a coordinator's decision. Without it, from a client, only
   * branches that have not been asked to vote are rolled back; the others answer RETRY.
   * None: false.
   */
  3: optional bool decided
}

/** The votes, in the order of the request. */
struct PrepareReply {
  /** For the call as a whole. */
  1: required types.Result result
  /** With OK: one for each branch. */
  2: optional list<PrepareResult> votes
}

/** How the branches have ended, in the order of the request. */
struct FinishReply {
  /** For the call as a whole. */
  1: required types.Result result
  /** With OK: one for each branch. */
  2: optional list<FinishResult> items
}

/** Starts a branch (X/Open XA, xa_start). */
struct StartOptions {
  /**
   * When locks collide, the transaction counts as old as this one; a retry names its
   * first gtid. None: its own gtid.
   */
  1: optional types.Gtid age
  /**
   * The resource manager's name for an isolation level, such as read-committed or
   * serializable. None: its default.
   */
  2: optional string isolation
  /**
   * An active branch without a call for this long is rolled back, in milliseconds.
   * None or 0: the participant's option (30,000 by default).
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
 * The statements with which an application runs a branch on its own connection, in the
 * language of the database. A client library needs to know nothing else.
 */
struct ApplicationManagedBranch {
  /**
   * A query to be run first, outside of a transaction. It returns one text: why the
   * branch cannot run on this connection. Empty: it can.
   */
  1: required string check
  /** Statements that begin the branch. */
  2: required list<string> start
  /**
   * Statements that prepare it, after the application's work. All must succeed; how that
   * is determined for this database is up to the client library.
   */
  3: required list<string> prepare
  /** A query that returns true in the branch, and only there. */
  4: required string inside
}

/** One operation of the KV resource manager. */
enum KvVerb {
  /** Reads the pair of `key`, if it has a value. */
  GET = 1
  /** Sets the value of `key`. */
  PUT = 2
  /** Deletes the value of `key`, if there is one. */
  DELETE = 3
  /**
   * Adds `delta` to an integer value, which is decimal text (none counts as 0), unless
   * the sum is below `at_least`.
   */
  ADD_IF_AT_LEAST = 4
  /** Sets `value` if the current value is `expected` (not set: if there is no value). */
  COMPARE_AND_SET = 5
  /**
   * Reads the pairs with keys from `key` (included) to `end_key` (excluded; empty: to the
   * end), at most `limit`.
   */
  RANGE = 6
}

struct KvOperation {
  /** What to do; determines which of the other fields count. */
  1: required KvVerb verb
  /** The key, any bytes; RANGE: the first key. */
  2: required binary key
  /** PUT, COMPARE_AND_SET: the new value. Required. */
  3: optional binary value
  /** COMPARE_AND_SET: the current value that is expected. None: no value. */
  4: optional binary expected
  /** ADD_IF_AT_LEAST: what is added; may be negative. Required. */
  5: optional i64 delta
  /** ADD_IF_AT_LEAST: the smallest sum allowed. None: any. */
  6: optional i64 at_least
  /** RANGE: the first key after the range. None or empty: to the last key. */
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
  /** The version of the value, which grows with every committed change. */
  3: required i64 version
}

/** The result of one KV operation. */
struct KvResult {
  /** GET, RANGE: the pairs that were found, or empty. None: other verbs. */
  1: optional list<KvPair> pairs
  /** ADD_IF_AT_LEAST: the new sum. None: other verbs. */
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
  /** One for each column, in the order of the columns. */
  1: required list<types.Value> values
}

struct SqlResult {
  /** The names of the columns. None: the statement returns no rows. */
  1: optional list<string> columns
  /** All rows; empty: there are none. None: the statement returns no rows. */
  2: optional list<SqlRow> rows
  /** How many rows the statement has changed. None: it is a query. */
  3: optional i64 changed
}

/**
 * Work in a branch. One of kv, sql and opaque is set; with none the branch is only
 * started, or its idle time begins again. docs/resource-managers.md describes the work
 * that each kind of resource accepts, its limits and its types.
 */
struct ExecuteRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The branch; or not set, with `start`, to start one and work in it in one call. */
  2: optional types.BranchId branch
  /**
   * Without a branch: the transaction for which one is started; ignored when `branch` is
   * set. If the answer is lost, the branch may exist, but its id is not known, and its
   * locks are held until its idle time is over. A repeated call is refused at resources
   * where a transaction has only one branch at a time (RESOURCE_ERROR: PostgreSQL,
   * MariaDB, X/Open); elsewhere it starts another branch, which loses against the first
   * (CONFLICT). So wait longer for this answer than `deadline_ms`, which the participant
   * observes, and roll the transaction back if there is none.
   */
  3: optional types.Gtid start
  /** With start: the resource. */
  4: optional string resource
  /** With start: the branch's options. None: all defaults. */
  5: optional StartOptions options
  /**
   * Counts the calls in the branch, from 1, the number of the call with `start`. A call
   * with the last number again gets the last answer again, and nothing is done twice. Any
   * number but that and the next one is INVALID. A branch takes one call at a time.
   */
  6: required i64 call_number
  /**
   * Operations, done in order. The first that fails ends the list, and the call fails.
   */
  7: optional list<KvOperation> kv
  /**
   * Statements, done in order. The first that fails ends the list, and the call fails.
   */
  8: optional list<SqlStatement> sql
  /** Work for a user's own resource manager, in its own encoding. */
  9: optional binary opaque
  /**
   * This is the branch's last work, and the transaction's other branches have had theirs,
   * or are getting it now. A resource that can do so prepares the branch in the same call
   * (an unsolicited vote). None: no.
   */
  10: optional bool prepare
}

struct ExecuteReply {
  /**
   * CONFLICT, BRANCH_GONE, RESOURCE_ERROR, TIMED_OUT: the branch is rolled back, or, with
   * `start`, none was started; the transaction can no longer commit. INVALID: the call
   * has done nothing; the branch goes on, and with `start` none was started. OVERLOADED,
   * UNAVAILABLE, NOT_FOUND: with `start` none was started; otherwise roll the branch
   * back. CONDITION_FAILED: operations of this call are undone if the resource can do so;
   * the branch goes on, and the message says which operation has failed.
   */
  1: required types.Result result
  /** The branch, also if this call has started it. None: there is none. */
  2: optional types.BranchId branch
  /** With OK to kv work: one result for each operation, in their order. */
  3: optional list<KvResult> kv
  /** With OK to sql work: one result for each statement, in their order. */
  4: optional list<SqlResult> sql
  /** With OK to opaque work: the resource manager's own answer. */
  5: optional binary opaque
  /**
   * With OK to grace_period_ms: how to run the branch. None: an ordinary branch, or a
   * participant that does not know of others.
   */
  6: optional ApplicationManagedBranch application_managed
  /**
   * With `prepare`: the branch has voted PREPARED, and the vote is on disk; only the
   * coordinators may end it now. None: the call was done as without `prepare`.
   */
  7: optional bool prepared
}

/** The outcome of a branch that was to be committed in one phase. */
struct OnePhaseReply {
  /**
   * OK: the outcome is final. After any other code but INVALID, repeat the call: the
   * outcome is kept with the data.
   */
  1: required types.Result result
  /** With OK: the outcome of the branch. */
  2: optional types.Outcome outcome
  /** With ABORTED: REFUSED, CONFLICT or LOST. None: REFUSED. */
  3: optional types.AbortCause cause
}

/** A branch of a participant that is not over. */
struct HeldBranch {
  /** The branch. */
  1: required types.BranchId branch
  /** active, preparing, prepared, … */
  2: required string state
  /** For how many milliseconds it has been in that state. */
  3: required i64 age_ms
}

struct RecoverReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: the branches of all its resources that are not over. */
  2: optional list<HeldBranch> branches
}

/**
 * Served by every participant. Only coordinators may call `prepare`, `commit`, and
 * `rollback` with `decided`. If a client calls them, it ends branches without the
 * coordinators' knowledge, and the result is recorded as a heuristic outcome if it is
 * detected. This version, which has no roles, cannot prevent it.
 */
service ParticipantService {
  ExecuteReply execute(1: required ExecuteRequest request)
  /** For coordinators. Each vote follows its flush. */
  PrepareReply prepare(1: required BranchList request)
  /** For coordinators. Commits prepared branches; DONE follows the flush. */
  FinishReply commit(1: required BranchList request)
  /** From clients, only for branches that have not been asked to vote: see `decided`. */
  FinishReply rollback(1: required BranchList request)
  /**
   * Commits an active branch at once, for a transaction of one branch. The list must have
   * exactly one branch, otherwise INVALID.
   */
  OnePhaseReply commitOnePhase(1: required BranchList request)
  /** The branches of this participant that are not over (X/Open XA, xa_recover). */
  RecoverReply recover(1: required types.CallContext context)
}
