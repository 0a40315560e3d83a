/**
 * The calls of clients, participants and operators to a coordinator node. types.thrift
 * describes the transport and its limits.
 */
include "types.thrift"
include "members.thrift"
namespace cpp concordat.wire
namespace py concordat.wire.coordinator
namespace js concordat.wire

/** The identity of a node, and what it knows about its cluster. */
struct HelloReply {
  /** How the call ended. */
  1: required types.Result result
  /** The node's protocol version. */
  2: required i32 version
  /** The cluster's id. */
  3: required i64 cluster
  /** The node's id. */
  4: required i64 node
  /** The leader's client address. None: no leader is known. */
  5: optional string leader
  /**
   * The client addresses of all nodes. Also with VERSION, so that the caller can ask
   * them.
   */
  6: optional list<string> nodes
}

/** Asks for gtids. */
struct BeginRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /**
   * How many; must be 1 or more, otherwise INVALID. A block has at most 10,000: the
   * reply's count says how many.
   */
  2: required i32 count
}

/** A block of gtids: first, first + 1, … It is not recorded in the log. */
struct BeginReply {
  /** How the call ended. */
  1: required types.Result result
  /** The first gtid of the block. */
  2: optional types.Gtid first
  /** The number of gtids in the block. */
  3: optional i32 count
  /** For how long they may be used, in milliseconds; then unused ones must be dropped. */
  4: optional i32 valid_ms
  /** With OK: the client addresses of the cluster's nodes. */
  5: optional list<string> nodes
}

/** Asks for the commit of a global transaction. May be repeated at any leader. */
struct CommitRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction: a gtid of a BeginReply. */
  2: required types.Gtid gtid
  /**
   * All branches that the client knows, each once; at most 128, otherwise INVALID. Empty:
   * only those that were enlisted; if there are none, COMMITTED means that nothing was to
   * be committed.
   */
  3: required list<types.BranchId> branches
  /**
   * When to answer; unknown numbers are INVALID. The mode of the first request counts.
   */
  4: required types.CommitMode mode
  /**
   * The transaction aborts when not all branches have voted within this time, in
   * milliseconds; must be 1 or more, otherwise INVALID. More than 600,000 counts as
   * 600,000.
   */
  5: required i32 timeout_ms
  /**
   * The positions in `branches` of those that have already voted PREPARED
   * (ExecuteReply.prepared); they are not asked again. None: no branch has. The position
   * of a branch that has not voted PREPARED breaks the transaction: the other branches
   * commit, this one does not, and it is recorded as a heuristic rollback when its
   * resource gives it up. A position outside of `branches` is INVALID.
   */
  6: optional list<i32> prepared
}

/**
 * The outcome of a global transaction. An unknown outcome is never reported as an error.
 */
struct OutcomeReply {
  /**
   * OK: `outcome` is final. After any other code the outcome is not known:
   *   UNDECIDED             begun: repeat with the same gtid
   *   NOT_LEADER, NOT_READY not begun by this request: repeat with the same gtid
   *   OVERLOADED, VERSION   not begun by this request. If no earlier request with this
   *                         gtid can have begun (none was answered UNDECIDED or not at
   *                         all), nothing commits: the client may treat it as aborted.
   *                         Otherwise repeat until a node knows
   *   INVALID               the same; the request is wrong (the message says how), or the
   *                         gtid was never assigned
   *   FORGOTTEN             the outcome was dropped long ago, or the commit was never
   *                         requested and never will be. Not begun by this request
   *   NOT_FOUND             only to `outcome`: the commit was not requested, as far as
   *                         this leader's log knows. That changes only by a request;
   *                         `rollback` makes it final
   */
  1: required types.Result result
  /** With OK: the outcome. None: not known from this answer. */
  2: optional types.Outcome outcome
  /** With ABORTED: the cause. */
  3: optional types.AbortCause cause
  /** With ABORTED, a text: which branch, which had not voted, which inquired. */
  4: optional string detail
}

/**
 * Requests the rollback of a global transaction. Needed when a branch may have been asked
 * to vote, or the commit may have been requested (ParticipantService.prepare, `prepare`
 * in a call, commit here). A client that has only worked in branches, and whose
 * transaction no other program knows, may instead call ParticipantService.rollback for
 * them and forget the gtid.
 */
struct RollbackRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction. */
  2: required types.Gtid gtid
  /**
   * Branches that the client knows; they are told when it is decided. Beyond 256, the
   * others find out by inquiry.
   */
  3: required list<types.BranchId> branches
  /** A text: the reason, which becomes the detail. None: no reason. */
  4: optional string reason
}

/** Adds a branch to a transaction before its commit is requested. */
struct EnlistRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The branch; its gtid names the transaction. */
  2: required types.BranchId branch
}

/** Asks for an outcome without requesting one. */
struct OutcomeRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction. */
  2: required types.Gtid gtid
}

/** The answer to a branch in doubt. */
enum InquiryAnswer {
  /** Commit the branch. */
  COMMIT = 1
  /** Roll the branch back. */
  ROLLBACK = 2
  /** Not decided yet: keep the branch prepared, and ask again. */
  WAIT = 3
}

/** Asks for the outcomes of branches in doubt. */
struct InquiryRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /**
   * The branches, by their full ids: branches of one transaction may get different
   * answers.
   */
  2: required list<types.BranchId> branches
}

/** The answer for one branch. */
struct InquiryItem {
  /**
   * For this branch. After any code but OK nothing is known: keep the branch prepared,
   * and ask again.
   */
  1: required types.Result result
  /** With OK: the answer. */
  2: optional InquiryAnswer answer
}

struct InquiryReply {
  /** For the call as a whole. NOT_LEADER: ask the leader. */
  1: required types.Result result
  /** With OK: one for each branch, in the order of the request. */
  2: optional list<InquiryItem> items
}

/** A resource that a participant serves. */
struct ResourceInfo {
  /** Its name in the cluster. */
  1: required string name
  /**
   * The participant's address for clients and coordinators. It changes when the
   * participant moves: resolve again after a failed connection.
   */
  2: required string address
  /** The kind of resource: kv, sqlite, … */
  3: required string kind
  /** The incarnation of the participant. */
  4: required i64 incarnation
  /**
   * In answers: whether its heartbeats arrive. None: this leader has had none yet.
   */
  5: optional bool alive
  /** In answers: milliseconds since the last heartbeat. None: there was none yet. */
  6: optional i64 heartbeat_age_ms
  /**
   * The id of its store, which the store got when it was created. Another store is
   * refused under the same name. None: the store has no id.
   */
  7: optional string store
  /**
   * In requests: by an operator's decision, this store replaces the one that had the
   * name, and branches that were prepared there are lost. None: no.
   */
  8: optional bool replace_store
  /**
   * How far the store has come: a number that it keeps in itself and that only grows,
   * milliseconds since the epoch as a rule. A smaller one than before is refused: an old
   * copy of the store was put back. None: it keeps none.
   */
  9: optional i64 generation
  /**
   * The resource is not served. In answers: why its last registration was refused; none:
   * it was accepted. In requests: why its participant does not serve it; this is listed,
   * and the registration is refused.
   */
  10: optional string quarantined
  /** In answers, with `quarantined`: milliseconds since that registration. */
  11: optional i64 quarantined_age_ms
  /**
   * Why the participant cannot use the resource now, for example because it cannot reach
   * the database. It keeps trying. None: it can use it.
   */
  12: optional string unavailable
}

/** Registers resources. Repeated as a heartbeat, which keeps them registered. */
struct RegisterRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** All resources of the participant; `alive` and the ages are ignored. */
  2: required list<ResourceInfo> resources
}

struct RegisterReply {
  /** How the call ended. Not OK: for the first resource that was refused. */
  1: required types.Result result
  /** With OK: repeat within this time, in milliseconds. */
  2: optional i32 heartbeat_ms
  /** With OK: the cluster's id, which is part of the XIDs of branches. */
  3: optional i64 cluster
  /**
   * One gtid for each Raft group: no coordinator will ask about an older gtid of that
   * group again, so the evidence of its branches may be dropped. None: nothing may be
   * dropped.
   */
  4: optional list<types.Gtid> watermarks
  /** With OK: the client addresses of the cluster's nodes. */
  5: optional list<string> nodes
}

struct ResolveRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The names. Empty: all resources. */
  2: required list<string> names
  /** Only names after this one, the last of the page before. None: from the first on. */
  3: optional string after
}

struct ResolveReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: the known ones, sorted by name. */
  2: optional list<ResourceInfo> resources
  /** With OK: there are more than fit in one answer; ask with `after`. */
  3: optional bool more
}

/** A node as `concordat status` shows it. */
struct StatusReply {
  /** How the call ended. */
  1: required types.Result result
  /** The cluster's id. */
  2: optional i64 cluster
  /** The node's id. */
  3: optional i64 node
  /** The node's protocol version. */
  4: optional i32 version
  /** leader, follower, pre-candidate or candidate. */
  5: optional string role
  /** The node's current term (Raft). */
  6: optional i64 term
  /** The leader's node id; 0: none is known. */
  7: optional i64 leader
  /** The last entry of the node's log, on its disk or not. */
  8: optional i64 last_index
  /** The last entry that the node knows to be log-committed. */
  9: optional i64 commit_index
  /** The last entry that it has applied. */
  10: optional i64 applied_index
  /** Transactions that are staged and not decided yet. */
  11: optional i64 undecided
  /** Other transactions that are not over: decided, or only enlisted. */
  12: optional i64 unended
  /** Outcomes that are kept for repeated requests. */
  13: optional i64 remembered
  /** Outcomes below it are forgotten. None: nothing has been forgotten yet. */
  14: optional types.Gtid watermark
  /** The registered resources, sorted by name. */
  15: optional list<ResourceInfo> resources
  /** Only from the leader: for each peer's address, the last index that it has stored. */
  16: optional map<string, i64> peers
  /** A hash of the state at applied_index. */
  17: optional i64 state_hash
  /** Milliseconds since the start of the process. */
  18: optional i64 uptime_ms
  /** New work is refused because the disk is full. */
  19: optional bool disk_full
  /**
   * The number of branches that ended against, or without, the decision and were not
   * forgotten by an operator; see listHeuristics.
   */
  20: optional i64 heuristics
  /** There are more resources than fit into the answer; `resolve` lists all, in pages. */
  21: optional bool more_resources
  /**
   * Only from the leader, for each peer's address: replicating, probing, snapshot or no
   * space; with ", lost its tail" while it is sent again what it has acknowledged and
   * lost.
   */
  22: optional map<string, string> peer_states
  /**
   * This node's log ends before entries that it has acknowledged; they are sent again.
   */
  23: optional bool lost_tail
}

/** A branch as `concordat txn show` shows it. */
struct BranchView {
  /** The branch. */
  1: required types.BranchId branch
  /** prepare sent, prepared, read-only, refused, committed, rolled back, … */
  2: required string state
  /** How often it was sent a message since this leader took over; 0 on other nodes. */
  3: optional i32 attempts
  /** The text of the last answer. None: it had none. */
  4: optional string detail
}

/** A transaction as `concordat txn list` and `txn show` show it. */
struct TransactionView {
  /** The transaction. */
  1: required types.Gtid gtid
  /** enlisted, preparing, committing, aborting, committed, aborted. */
  2: required string state
  /** The mode of its commit. None: not staged, or over. */
  3: optional types.CommitMode mode
  /** The decision. None: not decided yet, or forgotten. */
  4: optional types.Outcome outcome
  /** With ABORTED: why. */
  5: optional types.AbortCause cause
  /**
   * With ABORTED, a text: which branch, which had not voted, which inquired. None:
   * nothing to add.
   */
  6: optional string detail
  /** Its branches, as far as they are still known; none when it is over. */
  7: optional list<BranchView> branches
  /** Milliseconds since this leader first heard of it. None: not in flight here. */
  8: optional i64 age_ms
  /** The log index of STAGED. None or 0: not known, or there is none. */
  9: optional i64 staged_index
  /** The log index of DECIDED. None or 0: not known, or there is none. */
  10: optional i64 decided_index
  /** The log index of ENDED. None or 0: not known, or there is none. */
  11: optional i64 ended_index
  /** A text: for what it waits. None: for nothing. */
  12: optional string waiting_for
  /**
   * Branches that ended against, or without, the decision and were not forgotten by an
   * operator, also when the transaction is over. None: there is no such branch.
   */
  13: optional list<string> heuristics
}

struct ListTransactionsRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** At most this many, 1 or more; an answer never has more than 10,000. */
  2: required i32 limit
  /** Only those after this one, the last of the page before. None: from the oldest on. */
  3: optional types.Gtid after
}

struct ListTransactionsReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: open transactions in the order of their ids, at most `limit`. */
  2: optional list<TransactionView> transactions
  /**
   * With OK: there are more than `limit`, or than fit in one answer; ask with `after`.
   */
  3: optional bool more
}

struct ShowTransactionReply {
  /** How the call ended. */
  1: required types.Result result
  /**
   * With OK: the transaction. If this node does not know it, its state is `unknown`.
   */
  2: optional TransactionView transaction
}

/** A branch that ended against, or without, the decision. */
struct HeuristicBranch {
  /** Which branch. */
  1: required types.BranchId branch
  /** How it ended: commit, rollback, mixed or hazard. */
  2: required string what
  /** A text of the resource, or of the operator who has done it. */
  3: optional string detail
}

struct ListHeuristicsRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** At most this many, 1 or more; an answer never has more than 10,000. None: 10,000. */
  2: optional i32 limit
  /** Only those after this one, the last of the page before. None: from the first on. */
  3: optional types.BranchId after
}

struct ListHeuristicsReply {
  /** How the call ended. */
  1: required types.Result result
  /**
   * With OK: those that were not forgotten, also of transactions that have ended, in the
   * order of their ids.
   */
  2: optional list<HeuristicBranch> branches
  /**
   * With OK: there are more than `limit`, or than fit in one answer; ask with `after`.
   */
  3: optional bool more
}

/** An operator has dealt with a heuristic outcome. */
struct ForgetHeuristicRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** Which branch. */
  2: required types.BranchId branch
  /** The operator's name; it is recorded. */
  3: required string by
}

/** An operator retires a resource's name. */
struct RetireResourceRequest {
  /** The caller, and how long it will wait. */
  1: required types.CallContext context
  /** The resource's name. */
  2: required string name
  /** The operator's name; it is recorded. */
  3: required string by
}

/**
 * Served by every coordinator node. Any node answers hello, status, resolve (without
 * `alive`, which only the leader knows), and, from its applied state, listTransactions,
 * showTransaction, listHeuristics and members. Only the leader answers the other calls;
 * other nodes answer NOT_LEADER. "Repeat" means after a pause that grows from 10 ms to a
 * second: an election takes some tenths of a second.
 *
 * After ABORTED the coordinators roll back all branches that were named or enlisted.
 */
service CoordinatorService {
  HelloReply hello(1: required types.CallContext context)
  BeginReply allocateGtids(1: required BeginRequest request)
  OutcomeReply commit(1: required CommitRequest request)
  OutcomeReply rollback(1: required RollbackRequest request)
  /**
   * OK only after the enlistment is in the replicated log, before any commit; also for a
   * repeated call. TOO_LATE: the branch is not part of the transaction.
   */
  types.Result enlist(1: required EnlistRequest request)
  OutcomeReply outcome(1: required OutcomeRequest request)
  InquiryReply inquire(1: required InquiryRequest request)
  RegisterReply registerResources(1: required RegisterRequest request)
  ResolveReply resolve(1: required ResolveRequest request)
  /** Answered by any node, about itself. */
  StatusReply status(1: required types.CallContext context)
  ListTransactionsReply listTransactions(1: required ListTransactionsRequest request)
  ShowTransactionReply showTransaction(1: required OutcomeRequest request)
  ListHeuristicsReply listHeuristics(1: required ListHeuristicsRequest request)
  /**
   * OK once this is in the replicated log. NOT_FOUND: there is no such outcome; nothing
   * was changed. UNDECIDED: begun by a leader that has stepped down; it may have taken
   * effect or not. Repeat the call.
   */
  types.Result forgetHeuristic(1: required ForgetHeuristicRequest request)
  /**
   * Frees the name and its place, and forgets which store had it. OK once this is in the
   * replicated log. NOT_FOUND: there is no such resource. INVALID: it is served, or a
   * transaction that is not over has a branch there; nothing was changed. UNDECIDED: as
   * for forgetHeuristic.
   */
  types.Result retireResource(1: required RetireResourceRequest request)
  members.MembersReply members(1: required types.CallContext context)
  members.ChangeMemberReply changeMember(
      1: required members.ChangeMemberRequest request)
}
