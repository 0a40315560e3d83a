#include "participant/sdk/participant.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/sdk/waiters.h"
#include "thrift/wire/conversion.h"

namespace concordat::participant {
namespace {

// The number is signed on the wire, so it is positive.
Incarnation NewIncarnation() { return Incarnation((SystemRandom64() >> 1) | 1); }

AfterExecute After(const wire::ExecuteReply& reply) {
  const wire::Code::type code = reply.result.code;
  const bool over = code == wire::Code::CONFLICT || code == wire::Code::BRANCH_GONE ||
                    code == wire::Code::RESOURCE_ERROR || code == wire::Code::TIMED_OUT;
  if (over) return AfterExecute::kOver;
  return reply.__isset.prepared && reply.prepared ? AfterExecute::kPrepared
                                                  : AfterExecute::kActive;
}

}  // namespace

Participant::Participant(rpc::EventLoop* loop, std::unique_ptr<CoordinatorLink> link,
                         ParticipantOptions options)
    : loop_(loop),
      options_(std::move(options)),
      link_(std::move(link)),
      inbox_(std::make_shared<Inbox>(loop, [this] { Drain(); })) {}

Participant::~Participant() {
  lifetime_.End();
  inbox_->Close();
  loop_->Cancel(timer_);
  CloseManagers();
}

absl::Status Participant::AddResource(std::string name,
                                      std::unique_ptr<ResourceManager> manager) {
  CONCORDAT_CHECK(phase_ == Phase::kNew) << "a resource was added after Start";
  if (!IsValidResourceName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is not a resource name: 1 to ",
                     kMaxResourceNameLength, " lower-case letters, digits, '-' and '_'"));
  }
  if (!by_name_.emplace(name, resources_.size()).second) {
    return absl::AlreadyExistsError(absl::StrCat("resource ", name, " was added twice"));
  }
  BranchTableOptions options = options_.branches;
  // What a lost store had prepared cannot be committed any more, and this must be
  // reported.
  options.can_be_settled_elsewhere =
      manager->can_be_settled_elsewhere() || options_.replace_stores.contains(name);
  options.one_branch_a_transaction = manager->one_branch_a_transaction();
  auto table = std::make_unique<BranchTable>(std::move(name), NewIncarnation(), options);
  resources_.push_back({std::move(manager), std::move(table)});
  return absl::OkStatus();
}

std::vector<ResourceStats> Participant::Stats() const {
  std::vector<ResourceStats> stats;
  for (const Resource& resource : resources_) {
    stats.push_back({resource.table->resource(), resource.table->Stats(loop_->Now())});
  }
  return stats;
}

// --- results in, commands and answers out ---

void Participant::ScheduleDrain() {
  if (std::exchange(drain_scheduled_, true)) return;
  loop_->Defer(lifetime_.IfAlive([this] { Drain(); }));
}

void Participant::Drain() {
  // After so many rounds sockets and timers get their turn again.
  constexpr int kMaxRounds = 16;
  drain_scheduled_ = false;
  for (int round = 0; round < kMaxRounds; ++round) {
    inbox_->SuppressWakeUps();  // what is called back at once is taken below
    bool more = false;
    for (size_t i = 0; i < resources_.size(); ++i) more = ProcessOutput(i) || more;
    std::vector<InboxItem> items = inbox_->Take();
    for (InboxItem& item : items) HandleResult(&item);
    if (items.empty() && !more) return;
  }
  inbox_->SuppressWakeUps();
  inbox_->Wake();
}

void Participant::HandleResult(InboxItem* item) {
  BranchTable* table = resources_[item->resource].table.get();
  const BranchId& branch = item->branch;
  const Timestamp now = loop_->Now();
  if (auto* done = std::get_if<ExecuteResult>(&item->result)) {
    // A vote that came with the work is a promise like any other.
    if (done->after == AfterExecute::kPrepared) resources_[item->resource].worked = true;
    table->OnExecuted(branch, done->after, std::move(done->reply), now);
  } else if (auto* vote = std::get_if<PrepareResult>(&item->result)) {
    table->OnPrepared(branch, std::move(*vote), now);
  } else if (auto* committed = std::get_if<CommitResult>(&item->result)) {
    table->OnCommitted(branch, std::move(*committed), now);
  } else if (auto* rolled_back = std::get_if<RollbackResult>(&item->result)) {
    table->OnRolledBack(branch, std::move(*rolled_back), now);
  } else if (auto* one_phase = std::get_if<OnePhaseResult>(&item->result)) {
    table->OnCommittedOnePhase(branch, std::move(*one_phase), now);
  } else if (auto* evidence = std::get_if<Evidence>(&item->result)) {
    table->OnEvidence(branch, *evidence, now);
  } else if (auto* found = std::get_if<FoundResult>(&item->result)) {
    Resource& resource = resources_[item->resource];
    resource.worked = true;
    if (table->recovered()) {
      OnFound(table, *found);
    } else {
      resource.found.push_back(std::move(*found));
    }
  } else if (auto* generation = std::get_if<GenerationResult>(&item->result)) {
    OnGenerationSet(&resources_[item->resource], std::move(*generation));
  } else {
    OnRecovered(item->resource, std::move(std::get<RecoverResult>(item->result)));
  }
}

bool Participant::ProcessOutput(size_t index) {
  BranchTable* table = resources_[index].table.get();
  if (!table->has_output()) return false;
  BranchTableOutput output = table->TakeOutput();
  if (!output.events.empty()) LogEvents(output.events);
  // Commands come first, since the disk works while the answers are written.
  if (!output.commands.empty()) BeginBatch(index);
  for (const Command& command : output.commands) RunCommand(index, command);
  for (Answer& answer : output.answers) DeliverAnswer(&answer);
  if (!output.inquiries.empty()) SendInquiries(std::move(output.inquiries));
  return true;
}

// All requests to a resource manager in this iteration of the loop are one batch, which
// ends when the iteration's answers have been written.
void Participant::BeginBatch(size_t index) {
  Resource& resource = resources_[index];
  if (resource.in_batch || resource.manager == nullptr) return;
  resource.in_batch = true;
  resource.manager->BeginBatch();
  if (std::exchange(batch_end_scheduled_, true)) return;
  loop_->AfterOutput(lifetime_.IfAlive([this] { EndBatches(); }));
}

void Participant::EndBatches() {
  batch_end_scheduled_ = false;
  inbox_->SuppressWakeUps();  // what a flush calls back here is taken below
  for (Resource& resource : resources_) {
    if (!std::exchange(resource.in_batch, false)) continue;
    if (resource.manager != nullptr) resource.manager->EndBatch();
  }
  Drain();
}

void Participant::RunCommand(size_t index, const Command& command) {
  ResourceManager* manager = resources_[index].manager.get();
  if (manager == nullptr) return;  // closed: Stop answers what waits
  const BranchId& branch = command.branch;
  if (command.kind != CommandKind::kExecute &&
      command.kind != CommandKind::kForgetBelow) {
    resources_[index].worked = true;
  }
  const auto deliver = [inbox = inbox_, index, branch](auto result) {
    inbox->Push({index, branch, std::move(result)});
  };
  switch (command.kind) {
    case CommandKind::kExecute:
      return RunExecute(index, command);
    case CommandKind::kPrepare:
      manager->End(branch);
      [[fallthrough]];
    case CommandKind::kPrepareAgain:
      return manager->Prepare(
          branch, [deliver](PrepareResult result) { deliver(std::move(result)); });
    case CommandKind::kCommit:
      return manager->Commit(branch, [deliver](FinishResult result) {
        deliver(CommitResult{std::move(result)});
      });
    case CommandKind::kCommitOnePhase:
      manager->End(branch);
      return manager->CommitOnePhase(
          branch, [deliver](OnePhaseResult result) { deliver(std::move(result)); });
    case CommandKind::kRollback:
      return manager->Rollback(branch, [deliver](FinishResult result) {
        deliver(RollbackResult{std::move(result)});
      });
    case CommandKind::kLookUp:
      return manager->LookUp(branch, [deliver](Evidence evidence) { deliver(evidence); });
    case CommandKind::kForgetBelow:
      return manager->ForgetBelow(branch.gtid);
  }
}

void Participant::RunExecute(size_t index, const Command& command) {
  const auto request = slots_[command.token.value() - 1].request;
  // The callback keeps the request alive.
  resources_[index].manager->Execute(
      command.branch, *request,
      [inbox = inbox_, index, branch = command.branch,
       request](wire::ExecuteReply reply) {
        const AfterExecute after = After(reply);
        reply.__set_branch(ToWire(branch));
        inbox->Push(
            {index, branch,
             ExecuteResult{after, std::make_shared<WireReply>(std::move(reply))}});
      });
}

void Participant::DeliverAnswer(Answer* answer) {
  const auto index = static_cast<uint32_t>(answer->token.value() - 1);
  const Slot slot = std::exchange(slots_[index], Slot());
  free_slots_.push_back(index);
  CONCORDAT_CHECK(slot.waiter != nullptr) << "answered twice";
  slot.waiter->OnAnswer(slot, answer);
}

void Participant::LogEvents(const std::vector<Event>& events) {
  for (const Event& event : events) {
    Level level = Level::kInfo;
    switch (event.kind) {
      case EventKind::kRecovered:
      case EventKind::kIdleRollback:
      case EventKind::kOverdueRollback:
      case EventKind::kSettledByInquiry:
        break;
      case EventKind::kInquiry:
        level = Level::kWarning;
        break;
      case EventKind::kHeuristic:
      case EventKind::kProtocolError:
        level = Level::kError;
        break;
    }
    LogEvent(level, ToString(event.kind))
        .Field("branch", event.branch)
        .Field("detail", event.detail);
  }
}

void Participant::OnTimer() {
  for (const Resource& resource : resources_) resource.table->Tick(loop_->Now());
  AdvanceGenerations();
  Drain();
}

}  // namespace concordat::participant
