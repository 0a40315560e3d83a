// The work in a transaction's branches: calls, work that Commit does, and branches on the
// application's own connections.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/client/async_client.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

// The cause of the abort after work with this code.
AbortCause CauseOf(wire::Code::type code) {
  switch (code) {
    case wire::Code::CONFLICT:
      return AbortCause::kConflict;
    case wire::Code::CONDITION_FAILED:
    case wire::Code::INVALID:
    case wire::Code::NOT_FOUND:
      return AbortCause::kRolledBack;
    case wire::Code::TIMED_OUT:
      return AbortCause::kTimedOut;
    case wire::Code::BRANCH_GONE:
    case wire::Code::OVERLOADED:
    case wire::Code::NOT_LEADER:
    case wire::Code::UNAVAILABLE:
    case wire::Code::UNKNOWN:
      return AbortCause::kLost;
    default:
      return AbortCause::kRefused;
  }
}

// Whether the call has done nothing, so that the transaction goes on.
bool DidNothing(wire::Code::type code) {
  return code == wire::Code::INVALID || code == wire::Code::CONDITION_FAILED ||
         code == wire::Code::NOT_FOUND;
}

}  // namespace

void AsyncTransaction::FillStartOptions(const std::string& resource,
                                        wire::ExecuteRequest* work) const {
  wire::StartOptions start = work->options;
  if (!options_.age.is_none()) start.__set_age(ToWire(options_.age));
  const auto level = options_.isolation.find(resource);
  if (level != options_.isolation.end()) start.__set_isolation(level->second);
  work->__set_options(start);
}

wire::Result AsyncTransaction::CheckWork(const std::string& resource) const {
  if (const absl::Status s = CheckActive(); !s.ok()) {
    return MakeResult(wire::Code::CONDITION_FAILED, std::string(s.message()));
  }
  if (doomed_ != AbortCause::kNone) {
    return MakeResult(
        doom_code_,
        absl::StrCat("the transaction can only be rolled back: ", doom_detail_));
  }
  const auto branch = branches_.find(resource);
  if (branch != branches_.end() && branch->second.calling) {
    return MakeResult(wire::Code::CONDITION_FAILED,
                      absl::StrCat("another call at resource ", resource,
                                   " is under way: one at a time"));
  }
  return MakeResult(wire::Code::OK);
}

void AsyncTransaction::Execute(const std::string& resource, wire::ExecuteRequest work,
                               ExecuteCallback done) {
  wire::ExecuteReply refused;
  refused.result = CheckWork(resource);
  if (refused.result.code != wire::Code::OK) return done(refused);
  StartCall(resource, std::move(work), std::move(done));
}

void AsyncTransaction::StartCall(const std::string& resource, wire::ExecuteRequest work,
                                 ExecuteCallback done) {
  Branch& branch = branches_[resource];
  branch.calling = true;
  ++calls_under_way_;
  if (!branch.address.empty()) {
    return ExecuteAt(resource, std::move(work), std::move(done));
  }
  client_->resolver_.Resolve(
      resource, [self = shared_from_this(), resource, work = std::move(work),
                 done = std::move(done)](absl::StatusOr<std::string> address) mutable {
        if (address.ok() && !self->ended_) {
          self->branches_[resource].address = *address;
          return self->ExecuteAt(resource, std::move(work), std::move(done));
        }
        wire::ExecuteReply reply;
        if (self->ended_) {  // it was rolled back meanwhile
          reply.result = MakeResult(wire::Code::CONDITION_FAILED,
                                    std::string(self->CheckActive().message()));
        } else {
          reply.result =
              MakeResult(absl::IsNotFound(address.status()) ? wire::Code::NOT_FOUND
                                                            : wire::Code::UNAVAILABLE,
                         std::string(address.status().message()));
        }
        self->OnExecuted(resource, reply);
        done(reply);
        self->EndCall();
      });
}

void AsyncTransaction::ExecuteAt(const std::string& resource, wire::ExecuteRequest work,
                                 ExecuteCallback done) {
  Branch& branch = branches_[resource];
  const Duration asked = work.context.__isset.deadline_ms
                             ? Duration::Millis(work.context.deadline_ms)
                             : client_->options_.execute_timeout;
  const Duration time = TimeFor(asked);
  work.context = MakeContext();
  work.context.__set_deadline_ms(static_cast<int32_t>(time.millis()));
  work.call_number = branch.calls + 1;
  if (branch.started) {
    work.__set_branch(ToWire(branch.id));
  } else {
    work.__set_start(ToWire(gtid_));
    work.__set_resource(resource);
    FillStartOptions(resource, &work);
  }
  ParticipantLink* link = client_->links_->Participant(branch.address);
  auto shared_done = std::make_shared<ExecuteCallback>(std::move(done));
  auto on_reply =
      client_->lifetime_.IfAlive([self = shared_from_this(), resource,
                                  shared_done](const wire::ExecuteReply& reply) {
        self->OnExecuted(resource, reply);
        (*shared_done)(reply);
        self->EndCall();
      });
  wire::ExecuteReply reply;
  if (time <= Duration()) {
    reply.result = MakeResult(wire::Code::TIMED_OUT,
                              absl::StrCat("the transaction's time limit of ",
                                           options_.time_limit.millis(), " ms is over"));
  } else if (link == nullptr) {
    reply.result = MakeResult(
        wire::Code::UNAVAILABLE,
        absl::StrCat("resource ", resource, " has a bad address: ", branch.address));
  } else {
    ++branch.calls;
    return link->execute(std::move(on_reply), work);
  }
  on_reply(reply);
}

void AsyncTransaction::OnExecuted(const std::string& resource,
                                  const wire::ExecuteReply& reply) {
  Branch& branch = branches_[resource];
  branch.calling = false;
  branch.prepared = reply.__isset.prepared && reply.prepared;
  if (reply.__isset.branch && !branch.started) {
    const absl::StatusOr<BranchId> id = FromWire(reply.branch);
    if (!id.ok()) {
      return Doom(AbortCause::kLost, absl::StrCat(resource, " answered what is ",
                                                  std::string(id.status().message())));
    }
    branch.id = *id;
    branch.started = true;
    if (ended_) RollbackAtResource(branch);  // the rollback did not know this branch
  }
  const wire::Code::type code = reply.result.code;
  if (!branch.started && DidNothing(code)) {
    branches_.erase(resource);
    if (code == wire::Code::NOT_FOUND) client_->resolver_.Forget(resource);
    return;
  }
  if (code == wire::Code::OK || code == wire::Code::CONDITION_FAILED ||
      code == wire::Code::INVALID) {
    return;
  }
  // The work of this call is lost, or it is not known whether it was done.
  if (code != wire::Code::CONFLICT) client_->resolver_.Forget(resource);
  if (doomed_ == AbortCause::kNone) doom_code_ = code;
  const AbortCause cause = CauseOf(code);
  Doom(cause == AbortCause::kRolledBack ? AbortCause::kRefused : cause,
       absl::StrCat(resource, ": ", reply.result.message));
}

void AsyncTransaction::EndCall() {
  if (--calls_under_way_ > 0 || when_idle_ == nullptr) return;
  std::exchange(when_idle_, nullptr)();
}

// --- work at commit ---

absl::Status AsyncTransaction::AtCommit(const std::string& resource,
                                        wire::ExecuteRequest work) {
  if (joined_) {
    return absl::FailedPreconditionError(kCommittedByCaller);
  }
  if (absl::Status s = CheckActive(); !s.ok()) return s;
  const auto [position, added] = last_work_.try_emplace(resource, std::move(work));
  if (added) return absl::OkStatus();
  wire::ExecuteRequest& known = position->second;
  const bool both_kv = known.__isset.kv && work.__isset.kv;
  const bool both_sql = known.__isset.sql && work.__isset.sql;
  if (!both_kv && !both_sql) {
    return absl::InvalidArgumentError(absl::StrCat(
        "resource ", resource,
        " has work of another kind, or opaque work, for the commit already"));
  }
  for (wire::KvOperation& item : work.kv) known.kv.push_back(std::move(item));
  for (wire::SqlStatement& item : work.sql) known.sql.push_back(std::move(item));
  return absl::OkStatus();
}

// A single branch is not asked to vote: it commits in one phase.
void AsyncTransaction::DoLastWork(CommitCallback done) {
  struct Gather {
    size_t missing = 0;
    AbortCause cause = AbortCause::kNone;
    std::string why;
    CommitCallback done;
  };
  auto work = std::exchange(last_work_, {});
  std::set<std::string> resources;
  for (const auto& [resource, branch] : branches_) resources.insert(resource);
  for (const auto& [resource, request] : work) resources.insert(resource);
  const bool alone = resources.size() == 1 && carried_.empty() && !shared_;
  asked_to_prepare_ = asked_to_prepare_ || !alone;
  auto gather = std::make_shared<Gather>();
  gather->missing = work.size();
  gather->done = std::move(done);
  for (auto& [resource, request] : work) {
    if (!alone) request.__set_prepare(true);
    StartCall(
        resource, std::move(request),
        [self = shared_from_this(), gather,
         resource = resource](const wire::ExecuteReply& reply) {
          if (reply.result.code != wire::Code::OK && gather->cause == AbortCause::kNone) {
            gather->cause = CauseOf(reply.result.code);
            gather->why = absl::StrCat(resource, ": ", reply.result.message);
          }
          if (--gather->missing > 0) return;
          if (gather->cause == AbortCause::kNone) {
            return self->CommitAfterWork(std::move(gather->done));
          }
          self->RollbackBecause(gather->cause, std::move(gather->why),
                                std::move(gather->done));
        });
  }
}

void AsyncTransaction::StartApplicationManaged(const std::string& resource,
                                               wire::StartOptions options,
                                               ExecuteCallback done) {
  if (const wire::Result active = CheckWork(""); active.code != wire::Code::OK) {
    wire::ExecuteReply refused;
    refused.result = active;
    return done(refused);
  }
  wire::ExecuteRequest request;
  request.context = MakeContext();
  request.context.__set_deadline_ms(
      static_cast<int32_t>(client_->options_.execute_timeout.millis()));
  request.__set_start(ToWire(gtid_));
  request.__set_resource(resource);
  request.__set_options(options);
  request.call_number = 1;
  FillStartOptions(resource, &request);
  client_->resolver_.Resolve(
      resource, [self = shared_from_this(), resource, request = std::move(request),
                 done = std::move(done)](absl::StatusOr<std::string> address) mutable {
        wire::ExecuteReply failed;
        failed.result.code = absl::IsNotFound(address.status()) ? wire::Code::NOT_FOUND
                                                                : wire::Code::UNAVAILABLE;
        if (!address.ok()) {
          failed.result.__set_message(std::string(address.status().message()));
          return done(failed);
        }
        ParticipantLink* link = self->client_->links_->Participant(*address);
        if (link == nullptr) {
          failed.result.__set_message(
              absl::StrCat("resource ", resource, " has a bad address: ", *address));
          return done(failed);
        }
        auto shared_done = std::make_shared<ExecuteCallback>(std::move(done));
        link->execute(self->client_->lifetime_.IfAlive(
                          [self, resource, shared_done](const wire::ExecuteReply& reply) {
                            if (reply.result.code != wire::Code::OK) {
                              self->client_->resolver_.Forget(resource);
                            }
                            (*shared_done)(reply);
                          }),
                      request);
      });
}

void AsyncTransaction::AddPrepared(std::vector<BranchId> branches) {
  application_prepared_ = application_prepared_ || !branches.empty();
  for (BranchId& branch : branches) carried_.push_back(std::move(branch));
}

}  // namespace concordat::client
