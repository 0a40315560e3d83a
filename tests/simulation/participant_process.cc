#include "tests/simulation/participant_process.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::simulation {

ParticipantProcess::ParticipantProcess(World* world, const Directory* directory,
                                       Judge* judge, std::string resource,
                                       const ParticipantOptions& options)
    : world_(world),
      directory_(directory),
      judge_(judge),
      resource_(std::move(resource)),
      options_(options),
      random_(world->NewSeed()),
      store_(world, judge, resource_, options.store) {}

void ParticipantProcess::SetProcess(ProcessId id) {
  process_ = id;
  store_.SetProcess(id);
}

void ParticipantProcess::SetTroubles(uint32_t refuse_permille,
                                     uint32_t unavailable_permille) {
  options_.refuse_permille = refuse_permille;
  options_.unavailable_permille = unavailable_permille;
}

void ParticipantProcess::SetRecoveryTime(Duration min, Duration max) {
  options_.recovery_min = min;
  options_.recovery_max = max;
}

// --- Starts and ends ---------------------------------------------------------------

void ParticipantProcess::Start() {
  const Incarnation incarnation(options_.incarnation_base + ++lives_);
  table_ =
      std::make_unique<participant::BranchTable>(resource_, incarnation, options_.table);
  const Duration recovery = Duration::Micros(
      random_.Between(options_.recovery_min.micros(), options_.recovery_max.micros()));
  world_->After(process_, recovery, [this] { OnRecovered(); });
  Scan();
}

void ParticipantProcess::OnRecovered() {
  std::vector<participant::RecoveredBranch> prepared;
  for (const BranchId& branch : store_.Recover()) {
    prepared.push_back({branch, Duration()});
    world_->rare().Add(Rare::kCrashAfterPrepare);
  }
  table_->Recovered(prepared, Now());
  Act();
  Heartbeat();
}

void ParticipantProcess::Crash(bool power) {
  world_->rare().Add(Rare::kParticipantKilled);
  table_.reset();
  requests_.clear();
  store_.Crash(power);
}

void ParticipantProcess::Scan() {
  table_->Tick(Now());
  Act();
  world_->After(process_, options_.table.scan_interval, [this] { Scan(); });
}

void ParticipantProcess::Heartbeat() {
  world_->Send(process_, SomeNode(), world_->NewCall(),
               RegisterCall{resource_, table_->incarnation()});
  world_->After(process_, options_.heartbeat, [this] { Heartbeat(); });
}

ProcessId ParticipantProcess::SomeNode() {
  return directory_->node_list[random_.Below(directory_->node_list.size())];
}

// --- Requests ----------------------------------------------------------------------

void ParticipantProcess::Receive(const Packet& packet) {
  std::visit([&](const auto& body) { Handle(packet, body); }, packet.payload);
  Act();
}

participant::RequestToken ParticipantProcess::Keep(PendingRequest request) {
  const participant::RequestToken token(++last_token_);
  requests_[token] = std::move(request);
  return token;
}

void ParticipantProcess::Handle(const Packet& packet, const ExecuteCall& call) {
  PendingRequest request{packet.from, packet.call, {},          nullptr,
                         0,           call.writes, call.prepare};
  if (call.branch) {
    request.branch = *call.branch;
  } else {
    const participant::StartResult started =
        table_->Start(*call.start, Duration(), Now());
    if (started.refusal != participant::StartRefusal::kNone) {
      world_->Send(process_, packet.from, packet.call,
                   ExecuteReply{Code::kUnavailable, {}});
      return;
    }
    request.branch = started.branch;
    store_.Start(started.branch);
  }
  const BranchId branch = request.branch;
  const auto token = Keep(std::move(request));
  // Sometimes short, so that a call is overdue while it prepares.
  const Duration patience =
      random_.Percent(5) ? Duration::Millis(1) : Duration::Seconds(5);
  table_->Execute(branch, call.call_number, token, {Now() + patience, call.prepare},
                  Now());
}

void ParticipantProcess::Handle(const Packet& packet, const VerbCall& call) {
  auto verbs = std::make_shared<PendingVerbs>();
  verbs->to = packet.from;
  verbs->call = packet.call;
  verbs->reply.verb = call.verb;
  verbs->reply.items.resize(call.branches.size());
  verbs->missing = call.branches.size();
  for (size_t i = 0; i < call.branches.size(); ++i) {
    const BranchId& branch = call.branches[i];
    CountVerb(packet, call.verb, branch);
    const auto token = Keep({packet.from, packet.call, branch, verbs, i, {}, false});
    switch (call.verb) {
      case txn::Verb::kPrepare:
        table_->Prepare(branch, token, Now());
        break;
      case txn::Verb::kCommit:
        table_->Commit(branch, token, Now());
        break;
      case txn::Verb::kRollback:
        table_->Rollback(branch, token, Now());
        break;
    }
  }
}

void ParticipantProcess::Handle(const Packet& packet, const OnePhaseCall& call) {
  const auto fact = judge_->FactOf(call.branch);
  if (fact == BranchFact::kAlone) world_->rare().Add(Rare::kOnePhaseAnswerRepeated);
  if (fact == BranchFact::kRolledBack) world_->rare().Add(Rare::kOnePhaseGivenUp);
  const auto token = Keep({packet.from, packet.call, call.branch, nullptr, 0, {}, false});
  table_->CommitOnePhase(call.branch, token, Now());
}

void ParticipantProcess::Handle(const Packet& packet, const ReleaseCall& call) {
  const auto token = Keep({packet.from, packet.call, call.branch, nullptr, 0, {}, false});
  table_->Abandon(call.branch, token, Now());
}

void ParticipantProcess::Handle(const Packet&, const InquiryReply& reply) {
  for (const InquiryItem& item : reply.items) {
    if (item.code != Code::kOk) continue;
    table_->OnInquiryAnswer(item.branch, item.answer, Now());
  }
}

void ParticipantProcess::Handle(const Packet&, const RegisterReply& reply) {
  if (reply.ok) table_->OnWatermark(reply.watermark);
}

// --- Commands ----------------------------------------------------------------------

void ParticipantProcess::Act() {
  while (table_->has_output()) {
    participant::BranchTableOutput output = table_->TakeOutput();
    for (const participant::Event& event : output.events) {
      if (world_->keeps_history()) {
        world_->Note(absl::StrCat(resource_, ": event ",
                                  std::string(ToString(event.kind)), " ",
                                  ToString(event.branch), " ", event.detail));
      }
      if (event.kind == participant::EventKind::kIdleRollback) {
        world_->rare().Add(Rare::kIdleRollback);
      }
    }
    for (const participant::Command& command : output.commands) CarryOut(command);
    for (const participant::Answer& answer : output.answers) Answer(answer);
    if (!output.inquiries.empty()) Inquire(output.inquiries);
  }
}

void ParticipantProcess::CarryOut(const participant::Command& command) {
  const BranchId branch = command.branch;
  switch (command.kind) {
    case participant::CommandKind::kExecute:
      Execute(branch, requests_.at(command.token));
      break;
    case participant::CommandKind::kPrepare:
    case participant::CommandKind::kPrepareAgain:
      Prepare(branch);
      break;
    case participant::CommandKind::kCommit:
      Commit(branch);
      break;
    case participant::CommandKind::kCommitOnePhase:
      store_.CommitAlone(branch, [this, branch] {
        world_->rare().Add(Rare::kOnePhaseCommit);
        table_->OnCommittedOnePhase(branch, {participant::OnePhase::kCommitted, {}},
                                    Now());
        Act();
      });
      break;
    case participant::CommandKind::kRollback:
      store_.Rollback(branch, [this, branch] {
        world_->After(process_, Duration(), [this, branch] {
          table_->OnRolledBack(branch, {FinishState::kDone, {}}, Now());
          Act();
        });
      });
      break;
    case participant::CommandKind::kLookUp:
      world_->After(process_, Duration::Micros(random_.Between(0, 100)), [this, branch] {
        table_->OnEvidence(branch, store_.LookUp(branch), Now());
        Act();
      });
      break;
    case participant::CommandKind::kForgetBelow:
      store_.ForgetBelow(branch.gtid);
      break;
  }
}

void ParticipantProcess::Execute(const BranchId& branch, const PendingRequest& request) {
  using participant::AfterExecute;
  auto reply = std::make_shared<Reply>();
  reply->code = store_.Execute(branch, request.writes);
  if (request.prepare && reply->code == Code::kOk && !store_.WroteNothing(branch)) {
    reply->prepared = true;
    store_.Prepare(branch, [this, branch, reply = std::move(reply)] {
      table_->OnExecuted(branch, AfterExecute::kPrepared, reply, Now());
      Act();
    });
    return;
  }
  const bool over = reply->code == Code::kConflict || reply->code == Code::kBranchGone;
  const AfterExecute after = over ? AfterExecute::kOver : AfterExecute::kActive;
  world_->After(process_, Duration::Micros(random_.Between(0, 200)),
                [this, branch, after, reply = std::move(reply)] {
                  table_->OnExecuted(branch, after, reply, Now());
                  Act();
                });
}

void ParticipantProcess::Prepare(const BranchId& branch) {
  const auto answer = [this, branch](Vote vote, Duration delay) {
    world_->After(process_, delay, [this, branch, vote] {
      table_->OnPrepared(branch, {vote, {}}, Now());
      Act();
    });
  };
  const uint64_t dice = random_.Below(1000);
  if (dice < options_.unavailable_permille) {
    answer(Vote::kUnavailable, Duration());
  } else if (dice < options_.unavailable_permille + options_.refuse_permille) {
    store_.Rollback(branch, [] {});
    answer(Vote::kRefused, Duration());
  } else if (store_.WroteNothing(branch)) {
    store_.EndReadOnly(branch);
    answer(Vote::kReadOnly, Duration());
  } else {
    store_.Prepare(branch, [this, branch] {
      table_->OnPrepared(branch, {Vote::kPrepared, {}}, Now());
      Act();
    });
  }
}

void ParticipantProcess::Commit(const BranchId& branch) {
  if (random_.Below(1000) < options_.unavailable_permille) {
    world_->After(process_, Duration(), [this, branch] {
      table_->OnCommitted(branch, {FinishState::kRetry, "just now"}, Now());
      Act();
    });
    return;
  }
  store_.Commit(branch, [this, branch] {
    table_->OnCommitted(branch, {FinishState::kDone, {}}, Now());
    Act();
  });
}

void ParticipantProcess::Inquire(const std::vector<BranchId>& branches) {
  // In turn: random choice could miss the leader for long.
  const std::vector<ProcessId>& nodes = directory_->node_list;
  world_->Send(process_, nodes[++asked_ % nodes.size()], world_->NewCall(),
               InquiryCall{branches});
}

// --- Answers -----------------------------------------------------------------------

void ParticipantProcess::Answer(const participant::Answer& answer) {
  const auto it = requests_.find(answer.token);
  CONCORDAT_CHECK(it != requests_.end()) << "answered twice";
  const PendingRequest request = std::move(it->second);
  requests_.erase(it);
  std::visit([&](const auto& body) { Body(request, body); }, answer.body);
}

void ParticipantProcess::Body(const PendingRequest& request,
                              const participant::ExecuteAnswer& answer) {
  ExecuteReply reply{Code::kBranchGone, request.branch};
  switch (answer.verdict) {
    case participant::ExecuteVerdict::kReply:
      reply.code = static_cast<const Reply&>(*answer.reply).code;
      reply.prepared = static_cast<const Reply&>(*answer.reply).prepared;
      if (reply.prepared) {
        world_->rare().Add(Rare::kVotedUnasked);
        judge_->OnVoteSent(request.branch, Vote::kPrepared);
      }
      break;
    case participant::ExecuteVerdict::kUnavailable:
      reply.code = Code::kUnavailable;
      break;
    case participant::ExecuteVerdict::kBranchGone:
    case participant::ExecuteVerdict::kTimedOut:
      break;
    case participant::ExecuteVerdict::kWrongNumber:
      reply.code = Code::kInvalid;
      break;
  }
  world_->Send(process_, request.from, request.call, reply);
}

void ParticipantProcess::AnswerVerb(const PendingRequest& request, Vote vote,
                                    FinishState ack, const std::string& detail) {
  if (request.verbs == nullptr) {
    world_->Send(process_, request.from, request.call, ReleaseReply{ack});
    return;
  }
  PendingVerbs& verbs = *request.verbs;
  verbs.reply.items[request.position] = VerbItem{request.branch, vote, ack, detail};
  // A vote is true when it is given. While it waits for the others of its call it may
  // become outdated, which the protocol must tolerate as it tolerates late packets.
  if (verbs.reply.verb == txn::Verb::kPrepare) {
    CountVote(request.branch, vote);
    judge_->OnVoteSent(request.branch, vote);
  } else {
    judge_->OnAcknowledgementSent(request.branch, verbs.reply.verb, ack);
  }
  if (--verbs.missing != 0) return;
  world_->Send(process_, verbs.to, verbs.call, verbs.reply);
}

void ParticipantProcess::Body(const PendingRequest& request,
                              const participant::VoteAnswer& answer) {
  AnswerVerb(request, answer.vote, FinishState::kRetry, answer.detail);
}

void ParticipantProcess::Body(const PendingRequest& request,
                              const participant::FinishAnswer& answer) {
  AnswerVerb(request, Vote::kUnavailable, answer.state, answer.detail);
}

void ParticipantProcess::Body(const PendingRequest& request,
                              const participant::OnePhaseAnswer& answer) {
  OnePhaseReply reply;
  switch (answer.verdict) {
    case participant::OnePhaseVerdict::kCommitted:
      reply = {Code::kOk, true};
      judge_->OnOnePhaseAnswerSent(request.branch, true);
      break;
    case participant::OnePhaseVerdict::kRefused:
    case participant::OnePhaseVerdict::kConflict:
    case participant::OnePhaseVerdict::kLost:
      reply = {Code::kOk, false};
      judge_->OnOnePhaseAnswerSent(request.branch, false);
      break;
    case participant::OnePhaseVerdict::kUnknown:
      reply = {Code::kUnknown, false};
      break;
    case participant::OnePhaseVerdict::kInvalid:
      reply = {Code::kInvalid, false};
      break;
    case participant::OnePhaseVerdict::kForgotten:
      reply = {Code::kForgotten, false};
      break;
  }
  world_->Send(process_, request.from, request.call, reply);
}

// --- Rare paths --------------------------------------------------------------------

void ParticipantProcess::CountVerb(const Packet& packet, txn::Verb verb,
                                   const BranchId& branch) {
  RarePaths& rare = world_->rare();
  const auto fact = judge_->FactOf(branch);
  if (deposed_ && deposed_(packet.from)) rare.Add(Rare::kLateVerbFromDeposed);
  switch (verb) {
    case txn::Verb::kPrepare:
      if (fact == BranchFact::kPrepared) rare.Add(Rare::kPrepareTwice);
      if (fact == BranchFact::kCommitted) rare.Add(Rare::kLatePrepareAfterCommit);
      if (fact == BranchFact::kRolledBack) rare.Add(Rare::kAbortOvertakesPrepare);
      break;
    case txn::Verb::kCommit:
      if (fact != BranchFact::kCommitted) break;
      rare.Add(Rare::kCommitTwice);
      if (branch.incarnation != table_->incarnation()) rare.Add(Rare::kCrashAfterCommit);
      break;
    case txn::Verb::kRollback:
      if (judge_->DecisionOf(branch.gtid) == Outcome::kCommitted) {
        rare.Add(Rare::kBranchOutsideSet);
      }
      break;
  }
}

void ParticipantProcess::CountVote(const BranchId& branch, Vote vote) {
  RarePaths& rare = world_->rare();
  switch (vote) {
    case Vote::kReadOnly:
      rare.Add(read_only_votes_.insert(branch).second ? Rare::kReadOnlyVote
                                                      : Rare::kReadOnlyRepeated);
      break;
    case Vote::kRefused:
    case Vote::kConflict:
    case Vote::kLost:
      rare.Add(judge_->FactOf(branch) == BranchFact::kReadOnly ? Rare::kReadOnlyForgotten
                                                               : Rare::kRefusedVote);
      break;
    case Vote::kUnavailable:
      rare.Add(Rare::kUnavailableVote);
      break;
    case Vote::kCommittedAlone:
      rare.Add(Rare::kCommittedAloneVote);
      break;
    case Vote::kPrepared:
      break;
  }
}

}  // namespace concordat::simulation
