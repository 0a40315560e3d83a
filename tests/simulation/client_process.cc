#include "tests/simulation/client_process.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::simulation {

namespace {

constexpr Duration kWorkTimeout = Duration::Millis(300);

}  // namespace

ClientProcess::ClientProcess(World* world, const Directory* directory, Judge* judge,
                             const ClientOptions& options)
    : world_(world),
      directory_(directory),
      judge_(judge),
      options_(options),
      random_(world->NewSeed()),
      caller_(world),
      calls_(world, directory, &caller_, world->NewSeed()) {}

void ClientProcess::SetProcess(ProcessId id) {
  process_ = id;
  caller_.SetProcess(id);
  calls_.SetProcess(id);
}

// --- One transaction after the other -------------------------------------------------

void ClientProcess::Think() {
  After(Within(options_.think.micros()), [this] { Next(); });
}

void ClientProcess::Next() {
  if (stopping_) return;
  if (gtids_left_ != 0 && world_->now() < gtids_until_) {
    Begin();
    return;
  }
  ++open_;
  const auto count = static_cast<uint32_t>(random_.Between(1, 8));
  calls_.Begin(count, Never(), [this](const BeginReply& reply) {
    --open_;
    next_gtid_ = reply.first;
    gtids_left_ = reply.count;
    gtids_until_ = world_->now() + Duration::Millis(500);
    if (!stopping_) Begin();
  });
}

void ClientProcess::Begin() {
  auto attempt = std::make_shared<Attempt>();
  attempt->gtid = next_gtid_;
  ++next_gtid_.sequence;
  --gtids_left_;
  attempt->kind = ChooseKind();
  attempt->mode = random_.Percent(options_.parallel_percent) ? CommitMode::kParallel
                                                             : CommitMode::kDecided;
  attempt->timeout_ms = random_.Percent(20)
                            ? static_cast<uint64_t>(random_.Between(1, 50))
                            : static_cast<uint64_t>(random_.Between(300, 2000));
  const bool one_phase =
      attempt->kind == Kind::kOnePhase || attempt->kind == Kind::kOnePhaseAndMore;
  attempt->may_prepare = !one_phase && random_.Percent(options_.unsolicited_percent);
  Plan(attempt.get());
  DoWork(attempt, 0);
}

ClientProcess::Kind ClientProcess::ChooseKind() {
  if (!random_.Percent(options_.odd_percent)) return Kind::kTransfer;
  const auto kind = static_cast<Kind>(random_.Below(static_cast<uint64_t>(Kind::kCount)));
  if ((kind == Kind::kService || kind == Kind::kServiceLate ||
       kind == Kind::kServiceGivenUp) &&
      options_.services.empty()) {
    return Kind::kTransfer;
  }
  return kind;
}

// Moves money between two accounts of one resource.
std::vector<Write> ClientProcess::Internal() {
  const auto from = static_cast<uint32_t>(random_.Below(options_.accounts));
  const auto to = static_cast<uint32_t>(random_.Below(options_.accounts));
  const int64_t amount = random_.Between(1, 20);
  return {{from, -amount}, {to, amount}};
}

void ClientProcess::Plan(Attempt* attempt) {
  // Three different resources, or as many as there are.
  std::vector<std::string> resources = options_.resources;
  for (size_t i = resources.size(); i > 1; --i) {
    std::swap(resources[i - 1], resources[random_.Below(i)]);
  }
  const size_t count = resources.size();
  const auto account = [this] {
    return static_cast<uint32_t>(random_.Below(options_.accounts));
  };
  const int64_t amount = random_.Between(1, 20);
  switch (attempt->kind) {
    case Kind::kReadOnly:
      attempt->work = {{resources[0], {}}, {resources[1 % count], {}}};
      return;
    case Kind::kOnePhase:
    case Kind::kOnePhaseAndMore:
      attempt->work = {{resources[0], Internal()}};
      return;
    case Kind::kRollbackUnknown:
      return;
    default:
      break;
  }
  attempt->work = {{resources[0], {{account(), -amount}}},
                   {resources[1 % count], {{account(), amount}}}};
  if (attempt->kind == Kind::kTransferAndRead) {
    attempt->work.push_back({resources[2 % count], {}});
  }
  if (attempt->kind == Kind::kOtherBranches) {
    attempt->work.push_back({resources[2 % count], {{account(), amount}}});
  }
}

void ClientProcess::DoWork(const AttemptPtr& attempt, size_t position) {
  if (position == attempt->work.size()) {
    Finish(attempt);
    return;
  }
  const Work& work = attempt->work[position];
  ExecuteCall call;
  call.start = attempt->gtid;
  call.writes = work.writes;
  call.prepare = attempt->may_prepare;
  caller_.Call(At(work.resource), call, kWorkTimeout,
               [this, attempt, position](const Payload* payload) {
                 const auto* reply = ReplyAs<ExecuteReply>(payload);
                 if (reply == nullptr) {
                   WorkFailed(attempt);
                   return;
                 }
                 if (reply->code == Code::kOk || reply->code == Code::kConditionFailed) {
                   attempt->branches.push_back(reply->branch);
                 }
                 if (reply->code != Code::kOk) {
                   WorkFailed(attempt);
                   return;
                 }
                 if (reply->prepared) attempt->prepared.insert(reply->branch);
                 DoWork(attempt, position + 1);
               });
}

void ClientProcess::WorkFailed(const AttemptPtr& attempt) {
  After(Within(20'000), [this, attempt] { GiveUpWork(attempt); });
}

void ClientProcess::GiveUpWork(const AttemptPtr& attempt) {
  switch (random_.Below(3)) {
    case 0:
      Release(attempt);
      Think();
      return;
    case 1:
      Rollback(attempt, [this] { Think(); });
      return;
    default:
      Think();  // disappears; its branches are rolled back later
      return;
  }
}

void ClientProcess::Finish(const AttemptPtr& attempt) {
  const auto think = [this] { Think(); };
  switch (attempt->kind) {
    case Kind::kTransfer:
    case Kind::kTransferAndRead:
    case Kind::kReadOnly:
      Commit(attempt, attempt->branches, attempt->mode, [this, attempt] {
        if (random_.Percent(5)) AskAgain(attempt);
        Think();
      });
      return;
    case Kind::kOnePhase:
    case Kind::kOnePhaseAndMore:
      FinishOnePhase(attempt, 0);
      return;
    case Kind::kService:
    case Kind::kServiceLate:
    case Kind::kServiceGivenUp:
      FinishWithService(attempt);
      return;
    case Kind::kOtherBranches:
      FinishOtherBranches(attempt);
      return;
    case Kind::kOtherMode:
      FinishOtherMode(attempt);
      return;
    case Kind::kRollbackRace:
      FinishRollbackRace(attempt);
      return;
    case Kind::kRollback:
    case Kind::kRollbackUnknown:
      Rollback(attempt, think);
      return;
    case Kind::kVanish:
      Think();
      return;
    case Kind::kGiveUp:
      FinishGivingUp(attempt);
      return;
    case Kind::kCrossedOut:
      After(Within(3000), [this, attempt] { Release(attempt); });
      Commit(attempt, attempt->branches, attempt->mode, think);
      return;
    case Kind::kCount:
      break;
  }
}

// --- Ways to end ---------------------------------------------------------------------

void ClientProcess::FinishOnePhase(const AttemptPtr& attempt, int asked) {
  // Asks until the outcome is known (scenario 35), and sometimes once more.
  if (asked == 0) ++open_;
  const BranchId& branch = attempt->branches[0];
  caller_.Call(At(branch.resource), OnePhaseCall{branch}, kWorkTimeout,
               [this, attempt, asked](const Payload* payload) {
                 const auto* reply = ReplyAs<OnePhaseReply>(payload);
                 const bool known = reply != nullptr && (reply->code == Code::kOk ||
                                                         reply->code == Code::kForgotten);
                 if (!known || (asked == 0 && random_.Percent(20))) {
                   After(Within(20'000),
                         [this, attempt, asked] { FinishOnePhase(attempt, asked + 1); });
                   return;
                 }
                 --open_;
                 if (attempt->kind == Kind::kOnePhaseAndMore && reply->committed) {
                   ExtendOnePhase(attempt);
                 } else {
                   if (random_.Percent(30)) Release(attempt);
                   Think();
                 }
               });
}

// The branch is already committed, and is now named together with a second one.
void ClientProcess::ExtendOnePhase(const AttemptPtr& attempt) {
  const size_t other = random_.Below(options_.resources.size());
  ExecuteCall call;
  call.start = attempt->gtid;
  call.writes = Internal();
  caller_.Call(At(options_.resources[other]), call, kWorkTimeout,
               [this, attempt](const Payload* payload) {
                 const auto* reply = ReplyAs<ExecuteReply>(payload);
                 if (reply == nullptr || reply->code != Code::kOk) {
                   Think();
                   return;
                 }
                 attempt->branches.push_back(reply->branch);
                 Commit(attempt, attempt->branches, attempt->mode, [this] { Think(); });
               });
}

void ClientProcess::FinishWithService(const AttemptPtr& attempt) {
  const ProcessId service = options_.services[random_.Below(options_.services.size())];
  if (attempt->kind == Kind::kServiceLate) {
    caller_.Call(service, ServiceCall{attempt->gtid}, Duration::Seconds(3),
                 [](const Payload*) {});
    After(Within(2000), [this, attempt] {
      Commit(attempt, attempt->branches, attempt->mode, [this] { Think(); });
    });
    return;
  }
  caller_.Call(service, ServiceCall{attempt->gtid}, Duration::Seconds(3),
               [this, attempt](const Payload* payload) {
                 const auto* reply = ReplyAs<ServiceReply>(payload);
                 if (reply == nullptr || reply->code != Code::kOk) {
                   WorkFailed(attempt);
                 } else if (attempt->kind == Kind::kServiceGivenUp) {
                   FinishGivingUp(attempt);
                 } else if (random_.Percent(20)) {
                   Think();  // enlisted, and never staged
                 } else {
                   Commit(attempt, attempt->branches, attempt->mode, [this] { Think(); });
                 }
               });
}

// The third branch replaces the second, as when an answer was lost and the work was done
// again elsewhere. The commit of both lists is requested.
void ClientProcess::FinishOtherBranches(const AttemptPtr& attempt) {
  const BranchId& debit = attempt->branches[0];
  world_->rare().Add(Rare::kRetryWithOtherBranches);
  calls_.SendOnce(MakeCommit(*attempt, {debit, attempt->branches[1]}, attempt->mode),
                  calls_.LikelyLeader(), [this, attempt](const OutcomeReply& reply) {
                    OnOutcome(attempt->gtid, reply);
                  });
  After(Within(4000), [this, attempt, debit] {
    CommitAgain(attempt, {debit, attempt->branches[2]}, attempt->mode,
                [this] { Think(); });
  });
}

void ClientProcess::FinishOtherMode(const AttemptPtr& attempt) {
  const CommitMode other = attempt->mode == CommitMode::kParallel ? CommitMode::kDecided
                                                                  : CommitMode::kParallel;
  world_->rare().Add(Rare::kRetryInOtherMode);
  calls_.SendOnce(
      MakeCommit(*attempt, attempt->branches, attempt->mode), calls_.LikelyLeader(),
      [this, attempt](const OutcomeReply& reply) { OnOutcome(attempt->gtid, reply); });
  After(Within(4000), [this, attempt, other] {
    CommitAgain(attempt, attempt->branches, other, [this] { Think(); });
  });
}

void ClientProcess::FinishRollbackRace(const AttemptPtr& attempt) {
  world_->rare().Add(Rare::kRollbackRacedCommit);
  After(Within(4000), [this, attempt] {
    // From another connection of the same client, which does not know about the commit.
    Rollback(attempt, [] {});
  });
  Commit(attempt, attempt->branches, attempt->mode, [this] { Think(); });
}

void ClientProcess::FinishGivingUp(const AttemptPtr& attempt) {
  world_->rare().Add(Rare::kClientGaveUp);
  calls_.SendOnce(
      MakeCommit(*attempt, attempt->branches, attempt->mode), calls_.LikelyLeader(),
      [this, attempt](const OutcomeReply& reply) { OnOutcome(attempt->gtid, reply); });
  // Some ask for the outcome later.
  if (random_.Percent(50)) AskAgain(attempt);
  Think();
}

// --- Calls ---------------------------------------------------------------------------

CommitCall ClientProcess::MakeCommit(const Attempt& attempt,
                                     std::vector<BranchId> branches, CommitMode mode) {
  CommitCall call{attempt.gtid, std::move(branches), mode, attempt.timeout_ms, {}};
  for (uint32_t i = 0; i < call.branches.size(); ++i) {
    if (attempt.prepared.contains(call.branches[i])) call.prepared.push_back(i);
  }
  return call;
}

void ClientProcess::Commit(const AttemptPtr& attempt, std::vector<BranchId> branches,
                           CommitMode mode, std::function<void()> then,
                           client::RequestFate fate) {
  ++open_;
  calls_.Outcome(
      MakeCommit(*attempt, std::move(branches), mode), Never(),
      [this, attempt, then = std::move(then)](const OutcomeReply& reply,
                                              client::Verdict verdict) {
        --open_;
        if (verdict == client::Verdict::kNothingBegun) {
          // The user is told ABORTED, and the commit is never requested again.
          attempt->unbegun = true;
          world_->rare().Add(Rare::kNothingBegun);
          judge_->OnClientConcluded(attempt->gtid);
          Release(attempt);
        }
        OnOutcome(attempt->gtid, reply);
        then();
      },
      fate);
}

void ClientProcess::Rollback(const AttemptPtr& attempt, std::function<void()> then) {
  ++open_;
  calls_.Outcome(RollbackCall{attempt->gtid, attempt->branches}, Never(),
                 [this, attempt, then = std::move(then)](const OutcomeReply& reply,
                                                         client::Verdict) {
                   --open_;
                   if (reply.code == Code::kOk && reply.outcome == Outcome::kCommitted) {
                     world_->rare().Add(Rare::kRollbackTooLate);
                   }
                   OnOutcome(attempt->gtid, reply);
                   then();
                 });
}

// Repeats the request, soon after the end or long after it.
void ClientProcess::AskAgain(const AttemptPtr& attempt) {
  const Duration delay = random_.Percent(50) ? Within(1'000'000) : Within(10'000'000);
  After(delay, [this, attempt] {
    if (stopping_) return;
    ++open_;
    Payload request = OutcomeCall{attempt->gtid};
    if (random_.Percent(50) && !attempt->unbegun) {
      request = MakeCommit(*attempt, attempt->branches, attempt->mode);
      if (judge_->ToldAbout(attempt->gtid)) world_->rare().Add(Rare::kRepeatedAfterEnded);
    }
    calls_.Outcome(
        std::move(request), Never(),
        [this, attempt](const OutcomeReply& reply, client::Verdict) {
          --open_;
          OnOutcome(attempt->gtid, reply);
        },
        client::RequestFate(/*heard_before=*/true));
  });
}

void ClientProcess::Release(const AttemptPtr& attempt) {
  for (const BranchId& branch : attempt->branches) {
    caller_.Call(At(branch.resource), ReleaseCall{branch}, kWorkTimeout,
                 [](const Payload*) {});
  }
}

void ClientProcess::OnOutcome(const Gtid& gtid, const OutcomeReply& reply) {
  if (reply.code == Code::kInvalid) {
    world_->Fail(absl::StrCat("a client's request about ", ToString(gtid),
                              " was refused as wrong"));
  }
  if (reply.code != Code::kOk) return;
  judge_->OnClientTold(gtid, reply.outcome);
  if (reply.outcome == Outcome::kCommitted) {
    ++committed_;
  } else {
    ++aborted_;
    if (reply.cause == AbortCause::kRolledBack) {
      world_->rare().Add(Rare::kRollbackWon);
    }
  }
}

}  // namespace concordat::simulation
