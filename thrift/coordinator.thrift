/**
 * What clients, participants and operators ask a coordinator node. How calls travel, and
 * their limits: types.thrift.
 */
include "types.thrift"
namespace cpp concordat.wire
namespace py concordat.wire.coordinator
namespace js concordat.wire

/** Who a node is, and what it knows of its cluster. */
struct HelloReply {
  /** How the call ended. */
  1: required types.Result result
  /** The protocol version that the node speaks. */
  2: required i32 version
  /** The cluster's id. */
  3: required i64 cluster
  /** The node's id. */
  4: required i64 node
  /** The leader's address as a client can use it. None: no leader is known. */
  5: optional string leader
  /** All nodes' client addresses. With VERSION, too: the caller may find another node. */
  6: optional list<string> nodes
}

/** Asks for gtids. */
struct BeginRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /**
   * How many; 1 or more, else INVALID. A block has 10,000 at most: the reply's count says
   * how many it has.
   */
  2: required i32 count
}

/** A block of gtids: first, first + 1, … Nothing was logged. */
struct BeginReply {
  /** How the call ended. */
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
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction: one that BeginReply handed out. */
  2: required types.Gtid gtid
  /**
   * All branches that the client knows of, each once; 128 at most, else INVALID. None:
   * those that were enlisted are meant, and if there are none, COMMITTED says that
   * nothing was committed.
   */
  3: required list<types.BranchId> branches
  /** When to answer; no other number, else INVALID. The mode of the first request counts. */
  4: required types.CommitMode mode
  /**
   * After this long without all votes the transaction aborts, in milliseconds; 1 or more,
   * else INVALID. More than 600,000 counts as that.
   */
  5: required i32 timeout_ms
  /**
   * The positions in `branches` of those that have voted PREPARED already
   * (ExecuteReply.prepared); they are not asked again. None: nobody has. A position of a
   * branch that has not voted so is a lie that costs money: the others commit, this one
   * does not, and is put on record as a heuristic rollback when its resource gives it up.
   * A position that is none is INVALID.
   */
  6: optional list<i32> prepared
}

/** What became of a global transaction. Never an error that hides an unknown outcome. */
struct OutcomeReply {
  /**
   * OK: `outcome` is final. Anything else: nothing is known from this answer.
   *   UNDECIDED             begun: repeat with the same gtid
   *   NOT_LEADER, NOT_READY not begun by this request: repeat with the same gtid
   *   OVERLOADED, VERSION   not begun by this request. If no earlier one with this gtid
   *                         can have been heard (none was answered UNDECIDED, or not at
   *                         all), nothing commits: the client may count it as aborted.
   *                         Else repeat, until somebody knows
   *   INVALID               the same; the request is wrong (the message says how), or the
   *                         gtid was never handed out
   *   FORGOTTEN             the outcome was dropped long ago; or it was never asked to
   *                         commit, and never will be. Not begun by this request
   *   NOT_FOUND             to `outcome` only: nobody has asked to commit it, as far as
   *                         this leader's log knows. That will not change unless somebody
   *                         does; `rollback` makes it final
   */
  1: required types.Result result
  /** With OK: what became of it. None: not known from this answer. */
  2: optional types.Outcome outcome
  /** With ABORTED. */
  3: optional types.AbortCause cause
  /** With ABORTED, in words: which branch, who had not voted, who asked. */
  4: optional string detail
}

/**
 * Asks for the rollback of a global transaction. Needed when anybody may have been asked
 * to vote or to commit it (ParticipantService.prepare, `prepare` in a call, commit here).
 * A client that has only worked in branches, and whose transaction nobody else knows, may
 * instead call ParticipantService.rollback for them and forget the gtid.
 */
struct RollbackRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction. */
  2: required types.Gtid gtid
  /**
   * Branches that the client knows of; they are told when it is decided. Of more than 256
   * the rest finds out by itself.
   */
  3: required list<types.BranchId> branches
  /** Why, in words; kept as the cause's detail. None: nothing to say. */
  4: optional string reason
}

/** Adds a branch to a transaction before its commit is requested. */
struct EnlistRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The branch; its gtid names the transaction. */
  2: required types.BranchId branch
}

/** Asks for an outcome without asking for one. */
struct OutcomeRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The transaction. */
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
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /**
   * The branches, by their whole ids: another branch of the same transaction may have
   * to roll back.
   */
  2: required list<types.BranchId> branches
}

/** One answer a branch, in the order of the request; each with its own result. */
struct InquiryItem {
  /**
   * Of this branch. Anything but OK: nothing is known, hold the branch and ask again.
   */
  1: required types.Result result
  /** With OK. */
  2: optional InquiryAnswer answer
}

struct InquiryReply {
  /** Of the call as a whole; NOT_LEADER: ask the leader. */
  1: required types.Result result
  /** With OK: as many as there were branches. */
  2: optional list<InquiryItem> items
}

/** A resource that a participant serves. */
struct ResourceInfo {
  /** Its name in the cluster. */
  1: required string name
  /**
   * Where its participant listens, as clients and coordinators can reach it. It changes
   * when the participant moves: resolve again after a failed connection.
   */
  2: required string address
  /** kv, sqlite, … */
  3: required string kind
  /** The incarnation of the participant. */
  4: required i64 incarnation
  /**
   * In answers: whether its heartbeats arrive. None: this leader has not heard of it
   * yet.
   */
  5: optional bool alive
  /** In answers: milliseconds since the last heartbeat. None: as above. */
  6: optional i64 heartbeat_age_ms
  /**
   * Which store it is, given to it when it was made: another one is refused under the
   * same name. None: the store has no identity.
   */
  7: optional string store
  /**
   * In requests: an operator says that this store takes the place of the one that had the
   * name, and what was prepared there is lost. None: no.
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
   * it was not. In requests: why its participant does not serve it; it is listed so, and
   * the registration is refused.
   */
  10: optional string quarantined
  /** In answers, with `quarantined`: milliseconds since that registration. */
  11: optional i64 quarantined_age_ms
  /**
   * The participant is there, and cannot use the resource now: why (its database is not
   * reached, say). It goes on trying. None: it can.
   */
  12: optional string unavailable
}

/** Registers resources, and keeps them registered: repeated as a heartbeat. */
struct RegisterRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** All that the participant serves; `alive` and the ages are not read. */
  2: required list<ResourceInfo> resources
}

struct RegisterReply {
  /** How the call ended; other than OK: of the first resource that was not accepted. */
  1: required types.Result result
  /** With OK: repeat within this time, in milliseconds. */
  2: optional i32 heartbeat_ms
  /** With OK: the cluster's id, part of the XIDs of the resources' branches. */
  3: optional i64 cluster
  /**
   * One gtid a Raft group: no coordinator will ask about an older one of that group
   * again, so that evidence of its branches may be dropped. None: nothing may be yet.
   */
  4: optional list<types.Gtid> watermarks
}

struct ResolveRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** Names; none asks for all. */
  2: required list<string> names
  /** Only those whose names come after it: the last of the page before. None: the first. */
  3: optional string after
}

struct ResolveReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: those that are known, sorted by name. */
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
  /** The protocol version that the node speaks. */
  4: optional i32 version
  /** leader, follower, candidate; also pre-candidate. */
  5: optional string role
  /** The node's current term (Raft). */
  6: optional i64 term
  /** The leader's node id; 0: none is known. */
  7: optional i64 leader
  /** The last entry of the node's log, on its disk or not. */
  8: optional i64 last_index
  /** The last entry that the node knows to be log-committed. */
  9: optional i64 commit_index
  /** The last entry that its state has taken up. */
  10: optional i64 applied_index
  /** Transactions staged and not yet decided. */
  11: optional i64 undecided
  /** Transactions decided whose branches have not all acknowledged. */
  12: optional i64 unended
  /** Outcomes kept for retries. */
  13: optional i64 remembered
  /** Below it, outcomes are forgotten. None: nothing has been forgotten yet. */
  14: optional types.Gtid watermark
  /** Those that are registered, sorted by name. */
  15: optional list<ResourceInfo> resources
  /** Each peer's address and last stored index, on the leader. */
  16: optional map<string, i64> peers
  /** Hash of the applied state, with the index it belongs to. */
  17: optional i64 state_hash
  /** Milliseconds since the start of the process. */
  18: optional i64 uptime_ms
  /** New work is refused because the disk is full. */
  19: optional bool disk_full
  /**
   * Branches that ended against, or without, the decision, and that nobody has
   * forgotten; listHeuristics has them.
   */
  20: optional i64 heuristics
  /** There are more resources than fit in one answer; `resolve` has them, in pages. */
  21: optional bool more_resources
  /**
   * On the leader, what it does for each peer: replicating, probing, snapshot, no space;
   * with ", lost its tail" while it sends again what the peer had acknowledged and lost.
   */
  22: optional map<string, string> peer_states
  /** This node's log ends before what it had acknowledged; it is being sent again. */
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
  /** The last answer's text. None: it had none. */
  4: optional string detail
}

/** A transaction as `concordat txn list` and `txn show` have it. */
struct TransactionView {
  /** The transaction. */
  1: required types.Gtid gtid
  /** enlisted, preparing, committing, aborting, committed, aborted. */
  2: required string state
  /** When its client was, or will be, answered. None: not staged, or over. */
  3: optional types.CommitMode mode
  /** What was decided. None: nothing yet, or forgotten. */
  4: optional types.Outcome outcome
  /** With ABORTED: why. */
  5: optional types.AbortCause cause
  /**
   * With ABORTED, in words: which branch, who had not voted, who asked. None:
   * nothing to add.
   */
  6: optional string detail
  /** Its branches, as far as they are still kept; none when it is over. */
  7: optional list<BranchView> branches
  /** Milliseconds since this leader first heard of it. None: it does not drive it. */
  8: optional i64 age_ms
  /** The log index of STAGED; none or 0: not told, or there is none. */
  9: optional i64 staged_index
  /** The log index of DECIDED; none or 0: not told, or there is none. */
  10: optional i64 decided_index
  /** The log index of ENDED; none or 0: not told, or there is none. */
  11: optional i64 ended_index
  /** Whom it waits for, in words. None: for nobody. */
  12: optional string waiting_for
  /**
   * Branches that ended against, or without, the decision, and that nobody has forgotten,
   * also when the transaction is over; none: no such branch.
   */
  13: optional list<string> heuristics
}

struct ListTransactionsRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** At most this many, from 1; an answer never has more than 10,000. */
  2: required i32 limit
  /** Only those after it: the last of the page before. None: from the oldest on. */
  3: optional types.Gtid after
}

struct ListTransactionsReply {
  /** How the call ended. */
  1: required types.Result result
  /** With OK: open transactions in the order of their ids, at most `limit`. */
  2: optional list<TransactionView> transactions
  /** With OK: there are more than `limit`, or than fit in one answer; ask with `after`. */
  3: optional bool more
}

struct ShowTransactionReply {
  /** How the call ended. */
  1: required types.Result result
  /**
   * With OK: the transaction, also one that this node knows nothing of (state
   * unknown).
   */
  2: optional TransactionView transaction
}

/** A branch that ended against, or without, the decision. */
struct HeuristicBranch {
  /** Which branch. */
  1: required types.BranchId branch
  /** What became of it: commit, rollback, mixed or hazard. */
  2: required string what
  /** In the words of the resource, or of the operator who did it. */
  3: optional string detail
}

struct ListHeuristicsRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** At most this many, from 1; an answer never has more than 10,000. None: that many. */
  2: optional i32 limit
  /** Only those after it: the last of the page before. None: from the first on. */
  3: optional types.BranchId after
}

struct ListHeuristicsReply {
  /** How the call ended. */
  1: required types.Result result
  /**
   * With OK: those that nobody has forgotten, also of transactions that have ended, in
   * the order of their ids.
   */
  2: optional list<HeuristicBranch> branches
  /** With OK: there are more than `limit`, or than fit in one answer; ask with `after`. */
  3: optional bool more
}

/** Somebody has dealt with what a branch did. */
struct ForgetHeuristicRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** Which branch. */
  2: required types.BranchId branch
  /** Who says so, for the log. */
  3: required string by
}

/** An operator gives a resource's name up. */
struct RetireResourceRequest {
  /** Who calls, and how long it will wait. */
  1: required types.CallContext context
  /** The resource's name. */
  2: required string name
  /** Who says so; it is recorded. */
  3: required string by
}

/**
 * Served by every coordinator node. Any node answers hello, status, resolve (without
 * `alive`, which the leader alone knows), and listTransactions, showTransaction and
 * listHeuristics by what it has applied; the other calls are answered by the leader, and
 * elsewhere with NOT_LEADER. "Repeat" means after a pause that grows, from 10 ms to a
 * second: an election takes some tenths of one.
 *
 * After ABORTED the coordinators roll all branches back that were named or enlisted.
 */
service CoordinatorService {
  HelloReply hello(1: required types.CallContext context)
  BeginReply allocateGtids(1: required BeginRequest request)
  OutcomeReply commit(1: required CommitRequest request)
  OutcomeReply rollback(1: required RollbackRequest request)
  /**
   * OK only after the enlistment is in the replicated log, before any commit; also when
   * it is repeated. TOO_LATE: the branch is not part of the transaction.
   */
  types.Result enlist(1: required EnlistRequest request)
  OutcomeReply outcome(1: required OutcomeRequest request)
  InquiryReply inquire(1: required InquiryRequest request)
  RegisterReply registerResources(1: required RegisterRequest request)
  ResolveReply resolve(1: required ResolveRequest request)
  /** Answered by any node, of itself. */
  StatusReply status(1: required types.CallContext context)
  ListTransactionsReply listTransactions(1: required ListTransactionsRequest request)
  ShowTransactionReply showTransaction(1: required OutcomeRequest request)
  ListHeuristicsReply listHeuristics(1: required ListHeuristicsRequest request)
  /**
   * OK once it is in the replicated log. NOT_FOUND: no such outcome is on record; nothing
   * was changed. UNDECIDED: begun by a leader that stepped down, may have taken effect or
   * not; repeat it.
   */
  types.Result forgetHeuristic(1: required ForgetHeuristicRequest request)
  /**
   * Frees the name and its place, and forgets which store had it. OK once it is in the
   * replicated log. NOT_FOUND: there is no such resource. INVALID: it is served, or a
   * transaction that is not over has a branch there; nothing was changed. UNDECIDED: as
   * for forgetHeuristic.
   */
  types.Result retireResource(1: required RetireResourceRequest request)
}
