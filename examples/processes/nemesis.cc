#include "examples/processes/nemesis.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::example {

Nemesis::Nemesis(Plan plan, Victims* victims, FaultWatch* watch, uint64_t seed,
                 std::function<void(const std::string&)> say)
    : plan_(std::move(plan)),
      victims_(victims),
      watch_(watch),
      random_(seed),
      say_(std::move(say)) {
  if (plan_.leader_kills == 0) return;
  // The other kills come in the middle, so that leaders die before and after them.
  steps_.assign(plan_.leader_kills, {StepKind::kLeader, ""});
  std::vector<Step> others = {{StepKind::kParticipant, ""}};
  for (const std::string& database : plan_.databases) {
    others.push_back({StepKind::kDatabase, database});
  }
  const auto middle = static_cast<ptrdiff_t>((plan_.leader_kills + 1) / 2);
  steps_.insert(steps_.begin() + middle, others.begin(), others.end());
}

double Nemesis::allowed() const {
  if (done()) return 1;
  return static_cast<double>(step_ + 1) / static_cast<double>(steps_.size());
}

void Nemesis::Enter(Phase phase, Timestamp now) {
  phase_ = phase;
  entered_ = now;
}

absl::Status Nemesis::Tick(Timestamp now, double progress, uint64_t in_flight) {
  if (done()) return absl::OkStatus();
  if (phase_ == Phase::kWaiting) {
    const double mark =
        (static_cast<double>(step_) + 0.5) / static_cast<double>(steps_.size());
    return progress < mark ? absl::OkStatus() : Kill(now, in_flight);
  }
  if (now - entered_ > plan_.step_limit) {
    return absl::DeadlineExceededError(absl::StrCat(
        "after the kill of the ", faults_.back().who,
        phase_ == Phase::kKilled ? " nobody took over in " : " it did not come back in ",
        plan_.step_limit.millis() / 1000, " seconds"));
  }
  if (phase_ == Phase::kKilled) return Restart(now);
  CheckBack(now);
  return absl::OkStatus();
}

absl::Status Nemesis::Kill(Timestamp now, uint64_t in_flight) {
  const auto leader = victims_->Leader();
  if (!leader) return absl::OkStatus();  // tried again at the next Tick
  Fault fault;
  fault.in_flight = in_flight;
  const Step& step = steps_[step_];
  fault.of_leader = step.kind == StepKind::kLeader;
  if (watch_ != nullptr) fault.number = watch_->BeginFault(now);
  if (fault.of_leader) {
    fault.who = absl::StrCat("leader, node ", leader->node + 1);
    if (absl::Status s = KillLeader(*leader); !s.ok()) return s;
  } else if (step.kind == StepKind::kParticipant) {
    if (absl::Status s = KillParticipant(*leader); !s.ok()) return s;
    fault.who = absl::StrCat("participant of ", resource_);
  } else {
    if (absl::Status s = victims_->KillDatabaseOf(step.database); !s.ok()) return s;
    fault.who = absl::StrCat("server of ", step.database);
  }
  say_(absl::StrCat("SIGKILL to the ", fault.who, ", ", in_flight,
                    " transactions under way"));
  faults_.push_back(std::move(fault));
  killed_at_ = now;
  Enter(Phase::kKilled, now);
  return absl::OkStatus();
}

absl::Status Nemesis::KillLeader(const LeaderView& leader) {
  node_ = leader.node;
  term_ = leader.term;
  return victims_->KillNode(node_);
}

absl::Status Nemesis::KillParticipant(const LeaderView& leader) {
  resource_ = plan_.resources[random_.Below(plan_.resources.size())];
  const auto alive = leader.alive.find(resource_);
  incarnation_ = alive == leader.alive.end() ? 0 : alive->second;
  return victims_->KillServerOf(resource_);
}

absl::Status Nemesis::Restart(Timestamp now) {
  const Step& step = steps_[step_];
  if (step.kind != StepKind::kLeader) {
    if (now - killed_at_ < plan_.participant_down) return absl::OkStatus();
    Enter(Phase::kRestarted, now);
    return step.kind == StepKind::kParticipant
               ? victims_->RestartServerOf(resource_)
               : victims_->RestartDatabaseOf(step.database);
  }
  const auto leader = victims_->Leader();
  if (!leader || leader->term <= term_) return absl::OkStatus();
  faults_.back().outage = now - killed_at_;
  catch_up_to_ = leader->commit_index;
  say_(absl::StrCat("node ", leader->node + 1, " leads in term ", leader->term, ", ",
                    faults_.back().outage.millis(), " ms later; node ", node_ + 1,
                    " is started again"));
  Enter(Phase::kRestarted, now);
  return victims_->RestartNode(node_);
}

void Nemesis::CheckBack(Timestamp now) {
  switch (steps_[step_].kind) {
    case StepKind::kLeader:
      return CheckLeaderBack(now);
    case StepKind::kParticipant:
      return CheckParticipantBack(now);
    case StepKind::kDatabase:
      faults_.back().outage = now - killed_at_;
      say_(absl::StrCat("the ", faults_.back().who, " is up again, ",
                        faults_.back().outage.millis(), " ms after the kill"));
      return StepIsOver(now);
  }
}

void Nemesis::CheckParticipantBack(Timestamp now) {
  const auto leader = victims_->Leader();
  if (!leader) return;
  const auto alive = leader->alive.find(resource_);
  if (alive == leader->alive.end() || alive->second == incarnation_) return;
  faults_.back().outage = now - killed_at_;
  say_(absl::StrCat(resource_, " is served again, ", faults_.back().outage.millis(),
                    " ms after the kill"));
  StepIsOver(now);
}

void Nemesis::CheckLeaderBack(Timestamp now) {
  const auto applied = victims_->AppliedIndex(node_);
  if (!applied || *applied < catch_up_to_) return;
  say_(absl::StrCat("node ", node_ + 1, " has caught up, ", (now - entered_).millis(),
                    " ms after its start"));
  StepIsOver(now);
}

void Nemesis::StepIsOver(Timestamp now) {
  if (watch_ != nullptr) watch_->EndFault(faults_.back().number, now);
  ++step_;
  Enter(Phase::kWaiting, now);
}

}  // namespace concordat::example
