"""The bugs that mutations.py plants: what each is, where, and how."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    says: str
    file: str
    old: str  # occurs exactly once in the file
    new: str


RAFT = "coordinator/raft/"
TXN = "coordinator/txn/"
CLIENT = "coordinator/client/"
BRANCHES = "participant/sdk/core/"

MUTATIONS = [
    # --- Raft and its environment
    Mutation(
        "vote-before-flush", "A vote is sent before it is on the disk.",
        RAFT + "election.cc",
        "SendWhenDurable(from, VoteResponse{granted}, LogIndex());",
        "Send(from, VoteResponse{granted});"),
    Mutation(
        "vote-twice", "A node votes for a second candidate in one term.",
        RAFT + "election.cc",
        "hard_state_.vote.is_none() || hard_state_.vote == from;",
        "true;"),
    Mutation(
        "commit-uncapped",
        "The receiver takes the leader's commit index beyond the last new entry.",
        RAFT + "append_receiver.cc",
        "const LogIndex commit = std::min(request.leader_commit, last_new);",
        "const LogIndex commit = std::min(request.leader_commit, log_.last_index());"),
    Mutation(
        "old-term-by-counting",
        "An entry of an earlier term is committed because a quorum has it.",
        RAFT + "append_sender.cc",
        "if (!log_.Matches(quorum, term())) {",
        "if (!log_.Matches(quorum, term()) && quorum > log_.last_index()) {"),
    Mutation(
        "own-copy-before-flush",
        "The leader counts its own copy before its disk has it.",
        RAFT + "append_sender.cc",
        "? persisted_index_.value()",
        "? log_.last_index().value()"),
    Mutation(
        "append-acknowledged-before-flush",
        "A follower acknowledges entries that its disk has not got.",
        RAFT + "append_receiver.cc",
        "SendWhenDurable(leader, response, response.match_index);",
        "Send(leader, response);"),
    Mutation(
        "conflict-not-truncated",
        "A follower keeps its own entry where the leader has another one.",
        RAFT + "append_receiver.cc",
        "if (log_.Matches(entry.index, entry.term)) continue;",
        "if (log_.Has(entry.index)) continue;"),
    Mutation(
        "own-cluster-id",
        "A node takes the id that it drew itself for the cluster's.",
        RAFT + "raft.cc",
        "    hard_state_.cluster = configuration_.cluster();\n  }\n}\n\n"
        "// A configuration is in force",
        "    hard_state_.cluster = config_.new_cluster;\n  }\n}\n\n"
        "// A configuration is in force"),
    Mutation(
        "promises-before-flush",
        "The node sends messages that promise what is not written yet.",
        "coordinator/group/replica.cc",
        "held_.push_back({output->after_persist, "
        "std::move(output->messages_after_persist)});",
        "for (raft::Message& m : output->messages_after_persist) {\n"
        "      environment_->SendToPeer(std::move(m));\n    }"),
    Mutation(
        "snapshot-without-watermark",
        "A snapshot forgets how far outcomes have been dropped.",
        TXN + "table_snapshot.cc",
        "  table_.watermark_ = DecodeGtid(in);",
        "  [[maybe_unused]] const Gtid lost = DecodeGtid(in);"),

    # --- The commit protocol at the coordinator
    Mutation(
        "commit-before-record", "COMMIT is sent before its decision is log-committed.",
        TXN + "commit_protocol_votes.cc",
        "  event.detail = record.detail;\n  Propose(record);\n}",
        "  event.detail = record.detail;\n  Propose(record);\n"
        "  if (record.outcome == Outcome::kCommitted) Finish(txn, record.outcome, now);"
        "\n}"),
    Mutation(
        "rollback-before-record",
        "ROLLBACK is sent before its decision is log-committed.",
        TXN + "commit_protocol_votes.cc",
        "  event.detail = record.detail;\n  Propose(record);\n}",
        "  event.detail = record.detail;\n  Propose(record);\n"
        "  if (record.outcome == Outcome::kAborted) Finish(txn, record.outcome, now);"
        "\n}"),
    Mutation(
        "abort-answered-before-record",
        "A client is told ABORTED before the abort is log-committed.",
        TXN + "commit_protocol_votes.cc",
        "  event.detail = record.detail;\n  Propose(record);\n}",
        "  event.detail = record.detail;\n  Propose(record);\n"
        "  if (record.outcome == Outcome::kAborted) {\n"
        "    AnswerWaiters(txn, AbortedReply{record.cause, record.detail});\n  }\n}"),
    Mutation(
        "inquiry-before-own-entry",
        "A fresh leader answers an inquiry before its own entry is applied.",
        TXN + "core.cc",
        "    case Role::kLeading:\n",
        "    case Role::kLeading:\n"
        "      if (const auto* inquiry = std::get_if<InquireRequest>(&request)) {\n"
        "        const bool member = table_.InCommittedSet(inquiry->branch);\n"
        "        out_.answers.push_back(Answer{\n"
        "            token, InquiryReply{member ? BranchFate::kCommit\n"
        "                                       : BranchFate::kRollback}});\n"
        "        return;\n      }\n"),
    Mutation(
        "inquiry-presumes-abort",
        "An inquiry about an unknown gtid is answered without a record.",
        TXN + "commit_protocol_requests.cc",
        "  InFlight* txn = Open(branch.gtid, now);\n  txn->waiters.push_back(\n"
        "      Waiter{token, Waiter::Kind::kInquiry",
        "  if (table_.StateOf(branch.gtid) == TxnState::kUnknown) {\n"
        "    return Respond(token, InquiryReply{BranchFate::kRollback});\n  }\n"
        "  InFlight* txn = Open(branch.gtid, now);\n  txn->waiters.push_back(\n"
        "      Waiter{token, Waiter::Kind::kInquiry"),
    Mutation(
        "inherited-parallel-times-out",
        "A new leader aborts an inherited parallel transaction by time-out.",
        TXN + "commit_protocol_votes.cc",
        "return txn.inherited && txn.mode == CommitMode::kParallel;",
        "(void)txn;\n  return false;"),
    Mutation(
        "mode-of-the-retry", "The mode is taken from a repeated commit request.",
        TXN + "commit_protocol_requests.cc",
        "  Attach(txn, token, request.answer_within, now);\n"
        "  AddUnlisted(request.gtid, request.branches, now);\n}\n\nvoid CommitProtocol::Stage(",
        "  txn->mode = request.mode;\n"
        "  Attach(txn, token, request.answer_within, now);\n"
        "  AddUnlisted(request.gtid, request.branches, now);\n}\n\nvoid CommitProtocol::Stage("),
    Mutation(
        "stranger-told-commit",
        "A branch outside the decided set that asks is told COMMIT.",
        TXN + "commit_protocol_requests.cc",
        "const bool member = table_.InCommittedSet(branch);",
        "const bool member =\n"
        "        table_.FindSettled(branch.gtid)->outcome == Outcome::kCommitted;"),
    Mutation(
        "unlisted-told-commit",
        "A branch that only a retry named is told COMMIT.",
        TXN + "commit_protocol.cc",
        "const bool commit = progress.in_set && txn.outcome == Outcome::kCommitted;",
        "const bool commit = txn.outcome == Outcome::kCommitted;"),
    Mutation(
        "early-answer-with-read-only",
        "Mode parallel answers early although a vote was READ_ONLY.",
        TXN + "commit_protocol_votes.cc",
        "if (txn->mode != CommitMode::kParallel || !all_prepared) return;",
        "if (txn->mode != CommitMode::kParallel) return;"),
    Mutation(
        "early-answer-in-mode-decided",
        "Mode decided answers before the decision is log-committed.",
        TXN + "commit_protocol_votes.cc",
        "if (txn->mode != CommitMode::kParallel || !all_prepared) return;",
        "if (!all_prepared) return;"),
    Mutation(
        "committed-with-an-abort-under-way",
        "COMMITTED is answered when the last vote comes behind an appended abort.",
        TXN + "commit_protocol_votes.cc",
        "if (!txn->preparing() || !progress->in_set) return;  // too late to count",
        "if (txn->phase == Phase::kDeciding && txn->mode == CommitMode::kParallel &&\n"
        "      progress->in_set && vote == Vote::kPrepared) {\n"
        "    progress->vote = vote;\n"
        "    bool all = true;\n"
        "    for (const BranchProgress& w : txn->branches) {\n"
        "      all = all && (!w.in_set || w.vote == Vote::kPrepared);\n"
        "    }\n"
        "    if (all) AnswerWaiters(txn, CommittedReply{});\n"
        "  }\n"
        "  if (!txn->preparing() || !progress->in_set) return;"),
    Mutation(
        "committed-alone-taken-for-prepared",
        "A branch that committed in one phase counts as prepared.",
        TXN + "commit_protocol_votes.cc",
        "if (vote == Vote::kPrepared || vote == Vote::kReadOnly) return "
        "TryCommit(txn, now);",
        "if (vote != Vote::kRefused) return TryCommit(txn, now);"),
    Mutation(
        "enlisted-before-record",
        "A service is told that its branch is enlisted before that is log-committed.",
        TXN + "commit_protocol_requests.cc",
        "  Propose(EnlistedRecord{branch});\n"
        "  AwaitEnlisted(txn, token, request, now);\n",
        "  Propose(EnlistedRecord{branch});\n"
        "  Respond(token, EnlistedReply{});\n"),
    Mutation(
        "ended-before-acknowledgements",
        "ENDED is written when all branches were told, not when all have answered.",
        TXN + "commit_protocol_finish.cc",
        "    if (progress.acknowledged) continue;\n    (progress.in_set",
        "    if (progress.acknowledged || progress.attempts > 0) continue;\n    (progress.in_set"),
    Mutation(
        "watermark-over-open-gtid",
        "The watermark passes a committed gtid that has not ended.",
        TXN + "table.cc",
        "if (undecided || unacknowledged) {",
        "if (undecided && !unacknowledged) {"),

    Mutation(
        "read-only-votes-not-in-the-log",
        "DECIDED(commit) does not say who has voted READ_ONLY.",
        TXN + "commit_protocol_votes.cc",
        "  const bool all_prepared = record.read_only.empty();\n",
        "  const bool all_prepared = record.read_only.empty();\n"
        "  record.read_only.clear();\n"),

    # --- What was begun, and what was not (scenarios 76 and 77)
    Mutation(
        "begun-and-left-called-not-begun",
        "A leader that steps down says NOT_LEADER of what it had begun.",
        TXN + "commit_protocol.cc",
        "Respond(waiter.token, Undecided(&txn));\n      }\n    }\n  }\n  in_flight_.clear();",
        "Respond(waiter.token, NotLeaderReply{});\n      }\n    }\n  }\n  in_flight_.clear();"),
    Mutation(
        "refusal-after-begun-is-the-end",
        "A client takes a refusal for the end although an earlier attempt may have begun.",
        CLIENT + "request_fate.cc",
        "return may_have_begun_ ? NextStep::kAskOther : NextStep::kStop;",
        "may_have_begun_ = false;\n      return NextStep::kStop;"),
    Mutation(
        "undecided-counts-as-not-begun",
        "A client forgets that an attempt was answered UNDECIDED.",
        CLIENT + "request_fate.cc",
        "    case Answer::kUndecided:\n      may_have_begun_ = true;",
        "    case Answer::kUndecided:"),
    Mutation(
        "lost-answer-counts-as-not-begun",
        "A client forgets that the answer to an attempt was lost.",
        CLIENT + "request_fate.cc",
        "    case Answer::kNoAnswer:\n      may_have_begun_ = true;",
        "    case Answer::kNoAnswer:"),
    Mutation(
        "space-before-role",
        "A node refuses for want of room before it looks whether it leads.",
        TXN + "core.cc",
        "  switch (role_) {\n    case Role::kFollower:\n",
        "  if (!room_.for_new_work &&\n"
        "      std::holds_alternative<CommitRequest>(request)) {\n"
        "    out_.answers.push_back(\n"
        "        Answer{token, RefusedReply{Refusal::kOverloaded, \"\"}});\n"
        "    return;\n  }\n"
        "  switch (role_) {\n    case Role::kFollower:\n"),

    # --- Branches at the participant
    Mutation(
        "branch-id-reused", "A participant gives out a branch id twice.",
        BRANCHES + "branch_table.cc",
        "const BranchId id{gtid, resource_, incarnation_, ++last_number_};",
        "last_number_ = 1;\n  const BranchId id{gtid, resource_, incarnation_, 1};"),
    Mutation(
        "prepared-before-flush", "A participant votes PREPARED before its flush.",
        BRANCHES + "branch_requests.cc",
        "      branch->state = BranchState::kPreparing;\n",
        "      branch->state = BranchState::kPreparing;\n"
        "      Respond(token, VoteAnswer{Vote::kPrepared, \"\"});\n"
        "      token = RequestToken();\n"),
    Mutation(
        "acknowledged-before-flush",
        "A participant acknowledges COMMIT before its flush.",
        BRANCHES + "branch_requests.cc",
        "  branch->tokens.push_back(token);\n"
        "  if (branch->state == BranchState::kCommitting) return;\n",
        "  Respond(token, FinishAnswer{FinishState::kDone, false, \"\"});\n"
        "  if (branch->state == BranchState::kCommitting) return;\n"),
    Mutation(
        "recovering-refuses",
        "A participant that is still recovering answers REFUSED.",
        BRANCHES + "branch_evidence.cc",
        "    // AnswerFromEvidence has the answers for \"cannot tell\".\n",
        "    if (kind == RequestKind::kPrepare) {\n"
        "      return Respond(token, VoteAnswer{Vote::kRefused, \"not there\"});\n    }\n"),
    Mutation(
        "client-rolls-a-prepared-branch-back",
        "A client that gives up rolls back a branch that has voted.",
        BRANCHES + "branch_requests.cc",
        "if (!may_have_voted) return Rollback(id, token, now);",
        "if (!may_have_voted || branch->prepared) return Rollback(id, token, now);"),
]
