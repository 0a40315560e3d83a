/** What coordinators and clients ask a participant: the process that serves resource managers. */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire
namespace js concordat.wire

/** How a branch voted (X/Open XA, xa_prepare). */
enum Vote {
  /** The branch is on disk and will do as it is told. */
  PREPARED = 1
  /** Nothing was written; the branch is over. */
  READ_ONLY = 2
  /** No: the branch is rolled back, or is not there. */
  REFUSED = 3
  /** Cannot tell now (recovering, or another instance has the branch). Ask again. */
  UNAVAILABLE = 4
  /** The branch had already been committed in one phase. */
  COMMITTED_ALONE = 5
}

struct VoteItem {
  1: required Vote vote
  /** With REFUSED, UNAVAILABLE, COMMITTED_ALONE: why, for people. */
  2: optional string detail
}

/** How a branch ended after it was told the outcome. */
enum FinishState {
  /** Done and durable; or the branch is not there, which is as good. */
  DONE = 1
  /** Not now; ask again. */
  RETRY = 2
  /** The branch had ended the other way (X/Open XA_HEURCOM, XA_HEURRB, XA_HEURMIX, XA_HEURHAZ). */
  HEURISTIC_COMMIT = 3
  HEURISTIC_ROLLBACK = 4
  HEURISTIC_MIXED = 5
  HEURISTIC_HAZARD = 6
}

struct FinishItem {
  1: required FinishState state
  2: optional string detail
}

/** One list of branches, at one participant. */
struct BranchList {
  1: required types.CallContext context
  2: required list<types.BranchId> branches
  /**
   * For rollback: a coordinator's decision. Without it, from a client, only branches
   * that have not been asked to vote are rolled back; the others answer RETRY.
   */
  3: optional bool decided
}

/** One vote a branch, in the order of the request. */
struct PrepareReply {
  1: required types.Result result
  2: optional list<VoteItem> votes
}

/** One item a branch, in the order of the request. */
struct FinishReply {
  1: required types.Result result
  2: optional list<FinishItem> items
}

/** Starts a branch (X/Open XA, xa_start). */
struct StartOptions {
  /** The transaction counts as old as this one when locks collide; a retry names its first gtid. */
  1: optional types.Gtid age
  /** The resource manager's name for an isolation level; its default otherwise. */
  2: optional string isolation
  /** An active branch without a call for this long is rolled back, in milliseconds. */
  3: optional i32 idle_timeout_ms
}

/** One operation of the KV resource manager. */
enum KvVerb {
  GET = 1
  PUT = 2
  DELETE = 3
  /** Adds `delta` to an integer value (none counts as 0) unless the sum is below `at_least`. */
  ADD_IF_AT_LEAST = 4
  /** Puts `value` if the present value is `expected` (none set: if there is no value). */
  COMPARE_AND_SET = 5
  /** Keys from `key` (included) to `end_key` (excluded; empty: to the end), at most `limit`. */
  RANGE = 6
}

struct KvOperation {
  1: required KvVerb verb
  2: required binary key
  3: optional binary value
  4: optional binary expected
  5: optional i64 delta
  6: optional i64 at_least
  7: optional binary end_key
  8: optional i32 limit
}

struct KvPair {
  1: required binary key
  2: required binary value
  /** The transaction-independent version of the value; grows with every change. */
  3: required i64 version
}

/** What one KV operation gave. */
struct KvResult {
  /** GET, RANGE: what was found. */
  1: optional list<KvPair> pairs
  /** ADD_IF_AT_LEAST: the new sum. */
  2: optional i64 sum
}

/** One SQL statement with its parameters. */
struct SqlStatement {
  1: required string sql
  2: optional list<types.Value> parameters
}

struct SqlRow {
  1: required list<types.Value> values
}

struct SqlResult {
  1: optional list<string> columns
  2: optional list<SqlRow> rows
  /** Rows changed by the statement. */
  3: optional i64 changed
}

/** Work in a branch. Exactly one of kv, sql, opaque is set. */
struct ExecuteRequest {
  1: required types.CallContext context
  /** The branch; or not set, with `start`, to start one and work in it in one call. */
  2: optional types.BranchId branch
  /** With no branch: the transaction to start one for. */
  3: optional types.Gtid start
  /** With start: the resource. */
  4: optional string resource
  5: optional StartOptions options
  /**
   * Counts the calls in the branch, from 1. A repeat of the last number gets the
   * last answer again and does nothing twice.
   */
  6: required i64 call_number
  /** Operations, done in order; the first that fails ends the list and fails the call. */
  7: optional list<KvOperation> kv
  8: optional list<SqlStatement> sql
  /** For a user's own resource manager: its own encoding. */
  9: optional binary opaque
}

struct ExecuteReply {
  /**
   * CONFLICT, BRANCH_GONE, RESOURCE_ERROR: the branch is rolled back.
   * CONDITION_FAILED: operations of this call are undone where the resource can;
   * the branch lives on, and the message says which operation failed.
   */
  1: required types.Result result
  /** The branch, also when this call started it. */
  2: optional types.BranchId branch
  3: optional list<KvResult> kv
  4: optional list<SqlResult> sql
  5: optional binary opaque
}

/** What became of a branch that was to be committed in one phase. */
struct OnePhaseReply {
  /** OK: outcome is final. Anything else but INVALID: repeat, the answer is kept with the data. */
  1: required types.Result result
  2: optional types.Outcome outcome
}

/** A branch that a participant holds. */
struct HeldBranch {
  1: required types.BranchId branch
  /** active, preparing, prepared, … */
  2: required string state
  /** Milliseconds in that state. */
  3: required i64 age_ms
}

struct RecoverReply {
  1: required types.Result result
  2: optional list<HeldBranch> branches
}

/** Served by every participant. */
service ParticipantService {
  ExecuteReply execute(1: required ExecuteRequest request)
  /** Votes; each follows its flush. */
  PrepareReply prepare(1: required BranchList request)
  /** Commits prepared branches; DONE follows the flush. */
  FinishReply commit(1: required BranchList request)
  FinishReply rollback(1: required BranchList request)
  /** Commits an active branch at once, for a transaction of one branch. */
  OnePhaseReply commitOnePhase(1: required BranchList request)
  /** The branches of this participant that are not over (X/Open XA, xa_recover). */
  RecoverReply recover(1: required types.CallContext context)
}
