// The calls of ParticipantService: checked, and turned into requests to the branch
// tables.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/base/signed.h"
#include "participant/sdk/core/branch_number.h"
#include "participant/sdk/participant.h"
#include "participant/sdk/waiters.h"
#include "thrift/rpc/codec.h"
#include "thrift/wire/conversion.h"

namespace concordat::participant {
namespace {

using wire::Code;

constexpr size_t kMaxList = 16384;

wire::Result ResultOf(const StartResult& start) {
  switch (start.refusal) {
    case StartRefusal::kNone:
      break;
    case StartRefusal::kUnavailable:
      return MakeResult(Code::UNAVAILABLE, "the resource is recovering, or closing");
    case StartRefusal::kOverloaded:
      return MakeResult(Code::OVERLOADED, "too many branches are open");
    case StartRefusal::kTooOld:
      return MakeResult(Code::INVALID,
                        "the transaction is too old to be committed; begin a new one");
    // The code is not INVALID, after which the transaction could be committed without
    // this work.
    case StartRefusal::kSecond:
      return MakeResult(
          Code::RESOURCE_ERROR,
          absl::StrCat("the transaction has branch ", ToString(start.branch),
                       " at this resource, begun by another service or by a call whose "
                       "answer was lost; a second one could wait for the first's locks "
                       "and so for itself: let one service do the transaction's work at ",
                       start.branch.resource));
  }
  return MakeResult(Code::OK);
}

// The result of a branch that the resource manager did not start.
wire::Result ResultOf(const absl::Status& status) {
  const Code::type code = absl::IsResourceExhausted(status) ? Code::OVERLOADED
                          : absl::IsInvalidArgument(status) ? Code::INVALID
                          : absl::IsUnavailable(status)     ? Code::UNAVAILABLE
                                                            : Code::RESOURCE_ERROR;
  return MakeResult(code, std::string(status.message()));
}

}  // namespace

std::shared_ptr<apache::thrift::async::TAsyncProcessor> Participant::MakeProcessor(
    std::shared_ptr<Participant> participant) {
  return std::make_shared<wire::ParticipantServiceAsyncProcessorT<rpc::Codec>>(
      std::move(participant));
}

wire::Result Participant::CheckContext(const wire::CallContext& context) const {
  const int32_t ours = wire::g_types_constants.PROTOCOL_VERSION;
  if (context.version != ours) {
    return MakeResult(
        Code::VERSION,
        absl::StrCat("protocol version ", context.version,
                     " is not understood here; this participant speaks ", ours));
  }
  if (phase_ == Phase::kStopped || phase_ == Phase::kFailed) {
    return MakeResult(Code::UNAVAILABLE, phase_ == Phase::kFailed && !quarantine_.empty()
                                             ? quarantine_
                                             : "the participant is closing");
  }
  if (context.__isset.cluster && context.cluster != 0 && !cluster_.is_none() &&
      Unsigned(context.cluster) != cluster_.value()) {
    return MakeResult(Code::INVALID, "this participant belongs to another cluster");
  }
  return MakeResult(Code::OK);
}

Participant::Resource* Participant::FindResource(std::string_view name) {
  const auto it = by_name_.find(absl::string_view(name.data(), name.size()));
  return it == by_name_.end() ? nullptr : &resources_[it->second];
}

RequestToken Participant::AddSlot(Slot slot) {
  uint32_t index = 0;
  if (free_slots_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.push_back(std::move(slot));
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
    slots_[index] = std::move(slot);
  }
  return RequestToken(uint64_t{index} + 1);
}

Timestamp Participant::DeadlineOf(const wire::CallContext& context) const {
  if (!context.__isset.deadline_ms) return loop_->Now() + options_.default_call_time;
  const Duration asked = Duration::Millis(std::max(context.deadline_ms, 1));
  return loop_->Now() + std::min(asked, options_.max_call_time);
}

// --- execute ---

wire::Result Participant::CheckExecute(const wire::ExecuteRequest& request) const {
  wire::Result result = CheckContext(request.context);
  if (result.code != Code::OK) return result;
  const int kinds = (request.__isset.kv ? 1 : 0) + (request.__isset.sql ? 1 : 0) +
                    (request.__isset.opaque ? 1 : 0);
  if (kinds > 1) return MakeResult(Code::INVALID, "more than one of kv, sql and opaque");
  if (request.call_number < 1)
    return MakeResult(Code::INVALID, "call numbers begin at 1");
  if (request.kv.size() > options_.max_operations ||
      request.sql.size() > options_.max_operations) {
    return MakeResult(Code::INVALID, absl::StrCat("more than ", options_.max_operations,
                                                  " operations in one call"));
  }
  for (const wire::SqlStatement& statement : request.sql) {
    if (statement.sql.size() > options_.max_statement_bytes) {
      return MakeResult(Code::INVALID,
                        absl::StrCat("a statement is longer than ",
                                     options_.max_statement_bytes, " bytes"));
    }
  }
  if (running_calls_ >= options_.max_calls) {
    return MakeResult(Code::OVERLOADED,
                      absl::StrCat(running_calls_, " calls are being carried out"));
  }
  return result;
}

wire::Result Participant::FindBranch(const wire::ExecuteRequest& request,
                                     BranchId* branch) {
  if (!request.__isset.branch) return StartBranch(request, branch);
  absl::StatusOr<BranchId> id = FromWire(request.branch);
  if (!id.ok()) return MakeResult(Code::INVALID, std::string(id.status().message()));
  if (FindResource(id->resource) == nullptr) {
    return MakeResult(Code::NOT_FOUND, absl::StrCat("resource ", id->resource,
                                                    " is not served here; resolve it"));
  }
  *branch = *std::move(id);
  return MakeResult(Code::OK);
}

wire::Result Participant::CheckStart(const wire::ExecuteRequest& request, Gtid* gtid,
                                     StartOptions* options, Resource** resource) {
  if (!request.__isset.start) {
    return MakeResult(Code::INVALID,
                      "neither a branch nor a transaction to start one for");
  }
  const absl::StatusOr<Gtid> parsed = FromWire(request.start);
  if (!parsed.ok())
    return MakeResult(Code::INVALID, std::string(parsed.status().message()));
  *gtid = *parsed;
  *resource = FindResource(request.resource);
  if (*resource == nullptr) {
    return MakeResult(Code::NOT_FOUND, absl::StrCat("resource ", request.resource,
                                                    " is not served here; resolve it"));
  }
  if (request.call_number != 1) {
    return MakeResult(Code::INVALID, "the call that starts a branch has number 1");
  }
  options->age = *gtid;
  options->isolation = request.options.isolation;
  if (request.options.__isset.age) {
    const absl::StatusOr<Gtid> age = FromWire(request.options.age);
    if (!age.ok()) return MakeResult(Code::INVALID, std::string(age.status().message()));
    options->age = *age;
  }
  return MakeResult(Code::OK);
}

wire::Result Participant::StartBranch(const wire::ExecuteRequest& request,
                                      BranchId* branch) {
  Gtid gtid;
  StartOptions options;
  Resource* resource = nullptr;
  wire::Result result = CheckStart(request, &gtid, &options, &resource);
  if (result.code != Code::OK) return result;
  const StartResult started = resource->table->Start(
      gtid, Duration::Millis(request.options.idle_timeout_ms), loop_->Now());
  if (started.refusal != StartRefusal::kNone) return ResultOf(started);
  const absl::Status status = resource->manager->Start(started.branch, options);
  if (status.ok()) {
    *branch = started.branch;
    return MakeResult(Code::OK);
  }
  resource->table->StartFailed(started.branch);
  return ResultOf(status);
}

wire::Result Participant::StartApplicationManagedBranch(
    const wire::ExecuteRequest& request, wire::ExecuteReply* reply) {
  wire::Result result = CheckExecute(request);
  if (result.code != Code::OK) return result;
  const Duration grace_period = Duration::Millis(request.options.grace_period_ms);
  if (request.__isset.branch || request.__isset.kv || request.__isset.sql ||
      request.__isset.opaque || grace_period < kMinGracePeriod ||
      grace_period > kMaxGracePeriod) {
    return MakeResult(
        Code::INVALID,
        absl::StrCat("a branch on the application's own connection is "
                     "started without work, and with a grace period from ",
                     kMinGracePeriod.millis(), " to ", kMaxGracePeriod.millis(), " ms"));
  }
  Gtid gtid;
  StartOptions options;
  Resource* resource = nullptr;
  result = CheckStart(request, &gtid, &options, &resource);
  if (result.code != Code::OK) return result;
  const StartResult started =
      resource->table->StartApplicationManaged(gtid, grace_period);
  if (started.refusal != StartRefusal::kNone) return ResultOf(started);
  auto own = resource->manager->StartApplicationManaged(started.branch, options);
  if (absl::IsUnimplemented(own.status())) {
    return MakeResult(
        Code::INVALID,
        absl::StrCat("resource ", request.resource, " is of kind ",
                     std::string(resource->manager->kind()),
                     ", in which an application cannot run a branch on a connection of "
                     "its own: work through the participant"));
  }
  if (!own.ok()) return ResultOf(own.status());
  reply->__set_branch(ToWire(started.branch));
  reply->__set_application_managed(*std::move(own));
  return MakeResult(Code::OK);
}

void Participant::execute(std::function<void(const wire::ExecuteReply&)> cob,
                          const wire::ExecuteRequest& request) {
  if (request.options.__isset.grace_period_ms) {
    wire::ExecuteReply reply;
    reply.result = StartApplicationManagedBranch(request, &reply);
    return cob(reply);
  }
  BranchId branch;
  wire::Result result = CheckExecute(request);
  if (result.code == Code::OK) result = FindBranch(request, &branch);
  if (result.code != Code::OK) {
    wire::ExecuteReply reply;
    reply.result = std::move(result);
    return cob(reply);
  }
  ++running_calls_;
  Slot slot;
  slot.waiter = std::make_shared<ExecuteWaiter>(this, std::move(cob));
  slot.branch = branch;
  slot.request = std::make_shared<wire::ExecuteRequest>(request);
  const RequestToken token = AddSlot(std::move(slot));
  const ExecuteOptions options{DeadlineOf(request.context),
                               request.__isset.prepare && request.prepare};
  FindResource(branch.resource)
      ->table->Execute(branch, Unsigned(request.call_number), token, options,
                       loop_->Now());
  ScheduleDrain();
}

// --- calls that end branches ---

template <class Batch, class Reply, class Ask>
void Participant::HandleList(std::function<void(const Reply&)> cob,
                             const wire::BranchList& request, Ask ask) {
  Reply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code == Code::OK && request.branches.size() > kMaxList) {
    reply.result =
        MakeResult(Code::INVALID, absl::StrCat("more than ", kMaxList, " branches"));
  }
  std::vector<BranchId> branches;
  branches.reserve(request.branches.size());
  for (const wire::BranchId& item : request.branches) {
    absl::StatusOr<BranchId> branch = FromWire(item);
    if (!branch.ok()) {
      reply.result = MakeResult(Code::INVALID, std::string(branch.status().message()));
      break;
    }
    branches.push_back(*std::move(branch));
  }
  if (reply.result.code != Code::OK || branches.empty()) return cob(reply);

  const auto batch = std::make_shared<Batch>(std::move(cob), branches.size());
  for (uint32_t i = 0; i < branches.size(); ++i) {
    Resource* resource = FindResource(branches[i].resource);
    if (resource == nullptr) {
      batch->OnNotHere(i);
      continue;
    }
    const RequestToken token = AddSlot(Slot{batch, i, branches[i], nullptr});
    ask(resource->table.get(), branches[i], token, loop_->Now());
  }
  ScheduleDrain();
}

void Participant::prepare(std::function<void(const wire::PrepareReply&)> cob,
                          const wire::BranchList& request) {
  HandleList<PrepareBatch>(
      std::move(cob), request,
      [](BranchTable* table, const BranchId& branch, RequestToken token, Timestamp now) {
        table->Prepare(branch, token, now);
      });
}

void Participant::commit(std::function<void(const wire::FinishReply&)> cob,
                         const wire::BranchList& request) {
  HandleList<FinishBatch>(
      std::move(cob), request,
      [](BranchTable* table, const BranchId& branch, RequestToken token, Timestamp now) {
        table->Commit(branch, token, now);
      });
}

void Participant::rollback(std::function<void(const wire::FinishReply&)> cob,
                           const wire::BranchList& request) {
  HandleList<FinishBatch>(
      std::move(cob), request,
      [decided = request.decided](BranchTable* table, const BranchId& branch,
                                  RequestToken token, Timestamp now) {
        if (decided) {
          table->Rollback(branch, token, now);
        } else {
          table->Abandon(branch, token, now);
        }
      });
}

void Participant::commitOnePhase(std::function<void(const wire::OnePhaseReply&)> cob,
                                 const wire::BranchList& request) {
  wire::OnePhaseReply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code != Code::OK) return cob(reply);
  if (request.branches.size() != 1) {
    reply.result = MakeResult(Code::INVALID, "one phase is for exactly one branch");
    return cob(reply);
  }
  absl::StatusOr<BranchId> branch = FromWire(request.branches.front());
  if (!branch.ok()) {
    reply.result = MakeResult(Code::INVALID, std::string(branch.status().message()));
    return cob(reply);
  }
  Resource* resource = FindResource(branch->resource);
  if (resource == nullptr) {
    reply.result = MakeResult(
        Code::UNAVAILABLE, "this participant does not serve that resource; resolve it");
    return cob(reply);
  }
  const RequestToken token = AddSlot(
      Slot{std::make_shared<OnePhaseWaiter>(std::move(cob)), 0, *branch, nullptr});
  resource->table->CommitOnePhase(*branch, token, loop_->Now());
  ScheduleDrain();
}

void Participant::recover(std::function<void(const wire::RecoverReply&)> cob,
                          const wire::CallContext& context) {
  wire::RecoverReply reply;
  reply.result = CheckContext(context);
  if (reply.result.code != Code::OK) return cob(reply);
  reply.__isset.branches = true;
  for (const Resource& resource : resources_) {
    if (!resource.table->recovered()) {
      reply.result = MakeResult(Code::UNAVAILABLE, "a resource is recovering");
      break;
    }
    for (const HeldBranch& held : resource.table->Held(loop_->Now())) {
      wire::HeldBranch& item = reply.branches.emplace_back();
      item.branch = ToWire(held.branch);
      item.state = std::string(ToString(held.state));
      item.age_ms = held.age.millis();
    }
  }
  cob(reply);
}

}  // namespace concordat::participant
