/** What clients, participants and people ask a coordinator node. */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire
namespace js concordat.wire

/** Who a node is, and what it knows of its cluster. */
struct HelloReply {
  1: required types.Result result
  /** The protocol version that the node speaks. */
  2: required i32 version
  /** The cluster's id. */
  3: required i64 cluster
  /** The node's id. */
  4: required i64 node
  /** The leader's address as a client can use it, when one is known. */
  5: optional string leader
  /** All nodes' client addresses. */
  6: optional list<string> nodes
}

/** Asks for gtids. */
struct BeginRequest {
  1: required types.CallContext context
  /** How many; 1 to 65,536. */
  2: required i32 count
}

/** A block of gtids: first, first + 1, … Nothing was logged. */
struct BeginReply {
  1: required types.Result result
  /** The first of the block. */
  2: optional types.Gtid first
  /** How many the block has. */
  3: optional i32 count
  /** How long they may be used, in milliseconds; unused ones are dropped then. */
  4: optional i32 valid_ms
}

/** Asks for the commit of a global transaction. May be repeated at any leader. */
struct CommitRequest {
  1: required types.CallContext context
  2: required types.Gtid gtid
  /** All branches that the client knows of. */
  3: required list<types.BranchId> branches
  /** When to answer. The mode of the first request counts. */
  4: required types.CommitMode mode
  /** After this long without all votes the transaction aborts, in milliseconds. */
  5: required i32 timeout_ms
}

/** What became of a global transaction. Never an error that hides an unknown outcome. */
struct OutcomeReply {
  /**
   * OK: `outcome` is final. NOT_LEADER, UNAVAILABLE, OVERLOADED: nothing is known
   * from this answer, repeat with the same gtid. INVALID: the gtid was never
   * handed out. NOT_FOUND: forgotten, the outcome was dropped long ago, or (asked
   * by `outcome`) nobody has asked to commit it yet.
   */
  1: required types.Result result
  2: optional types.Outcome outcome
  /** With ABORTED. */
  3: optional types.AbortCause cause
  /** With ABORTED, for people: which branch, who had not voted, who asked. */
  4: optional string detail
  /** NOT_FOUND only: true when the outcome was dropped, false when nothing is staged. */
  5: optional bool forgotten
}

/** Asks for the rollback of a global transaction. */
struct RollbackRequest {
  1: required types.CallContext context
  2: required types.Gtid gtid
  /** Branches that the client knows of; they are told at once. */
  3: required list<types.BranchId> branches
  /** For people. */
  4: optional string reason
}

/** Adds a branch to a transaction before its commit is requested. */
struct EnlistRequest {
  1: required types.CallContext context
  2: required types.BranchId branch
}

/** Asks for an outcome without asking for one. */
struct OutcomeRequest {
  1: required types.CallContext context
  2: required types.Gtid gtid
}

/** What a branch in doubt is told. */
enum InquiryAnswer {
  /** Commit the branch. */
  COMMIT = 1
  /** Roll the branch back. */
  ROLLBACK = 2
  /** Not decided yet: hold, and ask again. */
  WAIT = 3
}

/** Asks for the outcomes of branches in doubt. */
struct InquiryRequest {
  1: required types.CallContext context
  2: required list<types.BranchId> branches
}

/** One answer a branch, in the order of the request; each with its own result. */
struct InquiryItem {
  1: required types.Result result
  /** With OK. */
  2: optional InquiryAnswer answer
}

struct InquiryReply {
  /** Of the call as a whole; NOT_LEADER: ask the leader. */
  1: required types.Result result
  2: optional list<InquiryItem> items
}

/** A resource that a participant serves. */
struct ResourceInfo {
  /** Its name in the cluster. */
  1: required string name
  /** Where its participant listens, as clients and coordinators can reach it. */
  2: required string address
  /** kv, sqlite, … */
  3: required string kind
  /** The life of the participant. */
  4: required i64 incarnation
  /** In answers: whether its heartbeats arrive. */
  5: optional bool alive
  /** In answers: milliseconds since the last heartbeat. */
  6: optional i64 heartbeat_age_ms
}

/** Registers resources, and keeps them registered: repeated as a heartbeat. */
struct RegisterRequest {
  1: required types.CallContext context
  2: required list<ResourceInfo> resources
}

struct RegisterReply {
  1: required types.Result result
  /** Repeat within this time, in milliseconds. */
  2: optional i32 heartbeat_ms
  /** The cluster's id: part of the XIDs of the resources' branches. */
  3: optional i64 cluster
  /**
   * One gtid a Raft group: no coordinator will ask about an older one of that group
   * again, so that evidence of its branches may be dropped.
   */
  4: optional list<types.Gtid> watermarks
}

struct ResolveRequest {
  1: required types.CallContext context
  /** Names; none asks for all. */
  2: required list<string> names
}

struct ResolveReply {
  1: required types.Result result
  /** Those that are known, sorted by name. */
  2: optional list<ResourceInfo> resources
}

/** A node as `concordat status` shows it. */
struct StatusReply {
  1: required types.Result result
  2: optional i64 cluster
  3: optional i64 node
  4: optional i32 version
  /** leader, follower, candidate. */
  5: optional string role
  6: optional i64 term
  7: optional i64 leader
  8: optional i64 last_index
  9: optional i64 commit_index
  10: optional i64 applied_index
  /** Transactions staged and not yet decided. */
  11: optional i64 undecided
  /** Transactions decided whose branches have not all acknowledged. */
  12: optional i64 unended
  /** Outcomes kept for retries. */
  13: optional i64 remembered
  /** Below it, outcomes are forgotten. */
  14: optional types.Gtid watermark
  15: optional list<ResourceInfo> resources
  /** Each peer's address and last stored index, on the leader. */
  16: optional map<string, i64> peers
  /** Hash of the applied state, with the index it belongs to. */
  17: optional i64 state_hash
  /** Milliseconds since the start of the process. */
  18: optional i64 uptime_ms
  /** New work is refused because the disk is full. */
  19: optional bool disk_full
}

/** A branch as `concordat txn show` shows it. */
struct BranchView {
  1: required types.BranchId branch
  /** asked, prepared, read-only, refused, committed, rolled back, … */
  2: required string state
  /** How often it was asked since this leader took over. */
  3: optional i32 attempts
  /** The last answer's text. */
  4: optional string detail
}

/** A transaction as `concordat txn list` and `txn show` have it. */
struct TransactionView {
  1: required types.Gtid gtid
  /** enlisted, preparing, committing, aborting, committed, aborted. */
  2: required string state
  3: optional types.CommitMode mode
  4: optional types.Outcome outcome
  5: optional types.AbortCause cause
  6: optional string detail
  7: optional list<BranchView> branches
  /** Milliseconds since this leader first heard of it. */
  8: optional i64 age_ms
  /** Log indexes of its records; 0 is none. */
  9: optional i64 staged_index
  10: optional i64 decided_index
  11: optional i64 ended_index
  /** Whom it waits for, in words. */
  12: optional string waiting_for
  /** Branches that ended against, or without, the decision. */
  13: optional list<string> heuristics
}

struct ListTransactionsRequest {
  1: required types.CallContext context
  /** At most this many; 1 to 10,000. */
  2: required i32 limit
  /** Also those that have ended. */
  3: optional bool ended
}

struct ListTransactionsReply {
  1: required types.Result result
  2: optional list<TransactionView> transactions
  /** There are more. */
  3: optional bool more
}

struct ShowTransactionReply {
  1: required types.Result result
  2: optional TransactionView transaction
}

/** Served by every coordinator node; most calls are answered by the leader only. */
service CoordinatorService {
  HelloReply hello(1: required types.CallContext context)
  BeginReply allocateGtids(1: required BeginRequest request)
  OutcomeReply commit(1: required CommitRequest request)
  OutcomeReply rollback(1: required RollbackRequest request)
  /** OK only after the enlistment is in the replicated log, before any commit. */
  types.Result enlist(1: required EnlistRequest request)
  OutcomeReply outcome(1: required OutcomeRequest request)
  InquiryReply inquire(1: required InquiryRequest request)
  RegisterReply registerResources(1: required RegisterRequest request)
  ResolveReply resolve(1: required ResolveRequest request)
  /** Answered by any node, of itself. */
  StatusReply status(1: required types.CallContext context)
  ListTransactionsReply listTransactions(1: required ListTransactionsRequest request)
  ShowTransactionReply showTransaction(1: required OutcomeRequest request)
}
