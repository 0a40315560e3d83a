#include "coordinator/client/async_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/client/one_phase.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

CommitResult FromReply(const wire::OutcomeReply& reply, const Gtid& gtid) {
  CommitResult result;
  result.gtid = gtid;
  if (reply.result.code == wire::Code::OK && reply.__isset.outcome) {
    result.outcome = FromWire(reply.outcome);
    if (result.outcome == Outcome::kAborted) {
      result.cause = FromWire(reply.cause);
      result.detail = reply.detail;
    }
    return result;
  }
  // CommitResult has the gtid already, so it is removed from the text.
  std::string_view why = reply.result.message;
  const std::string name = absl::StrCat(ToString(gtid), ": ");
  if (why.substr(0, name.size()) == name) why.remove_prefix(name.size());
  result.detail =
      absl::StrCat(std::string(why), "; ask again: concordat txn show ", ToString(gtid));
  return result;
}

// Asks for an outcome, by one of the calls that are answered so, until a coordinator
// knows it or time is up. `done` is called once, with the last answer and what all of
// them together mean.
template <class Request>
void AskForOutcome(Coordinators* coordinators, Duration time_limit, Request request,
                   void (CoordinatorLink::*ask)(
                       std::function<void(const wire::OutcomeReply&)>, const Request&),
                   std::function<void(const wire::OutcomeReply&, Verdict)> done) {
  auto reply = std::make_shared<wire::OutcomeReply>();
  coordinators->Call(
      time_limit,
      [request = std::move(request), ask, reply](
          CoordinatorLink* link, std::function<void(const wire::Result&)> answered) {
        (link->*ask)(
            [reply, answered = std::move(answered)](const wire::OutcomeReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            request);
      },
      [reply, done = std::move(done)](const wire::Result& result, Verdict verdict) {
        reply->result = result;
        done(*reply, verdict);
      });
}

}  // namespace

AsyncClient::AsyncClient(rpc::EventLoop* loop, LinkProvider* links, ClientOptions options)
    : loop_(loop),
      links_(links),
      options_(std::move(options)),
      coordinators_(loop, links, options_.coordinators),
      cluster_(&coordinators_, options_.time_limit),
      gtids_(loop, &coordinators_, options_.gtid_block, options_.time_limit),
      resolver_(&coordinators_, options_.time_limit) {}

void AsyncClient::Begin(TransactionOptions options,
                        absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done) {
  cluster_.Find(
      [this, options, done = std::move(done)](absl::StatusOr<ClusterId> cluster) mutable {
        if (!cluster.ok()) return done(cluster.status());
        gtids_.Take([this, options, cluster = *cluster,
                     done = std::move(done)](absl::StatusOr<Gtid> gtid) mutable {
          if (!gtid.ok()) return done(gtid.status());
          done(TransactionPtr(
              new AsyncTransaction(this, cluster, *gtid, options, /*joined=*/false)));
        });
      });
}

void AsyncClient::Join(std::string_view text,
                       absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done) {
  auto context = ParseContext(text);
  if (!context.ok()) return done(context.status());
  cluster_.Find([this, context = *std::move(context),
                 done = std::move(done)](absl::StatusOr<ClusterId> here) mutable {
    if (!here.ok()) return done(here.status());
    if (!context.cluster.is_none() && context.cluster != *here) {
      return done(absl::FailedPreconditionError(absl::StrCat(
          "the context is of transaction ", ToString(context.gtid), " of cluster ",
          absl::Hex(context.cluster.value()),
          ", the coordinators of this client are cluster ", absl::Hex(here->value()),
          ": name those of the caller's cluster")));
    }
    done(TransactionPtr(
        new AsyncTransaction(this, *here, context.gtid, {}, /*joined=*/true)));
  });
}

void AsyncClient::Ask(const Gtid& gtid,
                      absl::AnyInvocable<void(const CommitResult&)> done) {
  if (rolled_back_.Contains(gtid)) {
    return done(CommitResult{Outcome::kAborted, AbortCause::kRolledBack, gtid,
                             "this client has rolled it back"});
  }
  wire::OutcomeRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid);
  auto shared_done =
      std::make_shared<absl::AnyInvocable<void(const CommitResult&)>>(std::move(done));
  AskForOutcome(&coordinators_, options_.time_limit, std::move(request),
                &CoordinatorLink::outcome,
                [gtid, shared_done](const wire::OutcomeReply& reply, Verdict) {
                  (*shared_done)(FromReply(reply, gtid));
                });
}

void AsyncClient::Ask(const CommitResult& result,
                      absl::AnyInvocable<void(const CommitResult&)> done) {
  if (result.outcome != Outcome::kUnknown) return done(result);
  if (!result.one_phase_branch.has_value()) return Ask(result.gtid, std::move(done));
  const std::string& resource = result.one_phase_branch->resource;
  resolver_.Resolve(resource, [this, result, done = std::move(done)](
                                  absl::StatusOr<std::string> address) mutable {
    if (!address.ok()) {
      CommitResult unknown = result;
      unknown.detail = std::string(address.status().message());
      return done(unknown);
    }
    CommitOnePhase(loop_, links_, &resolver_, *std::move(address),
                   *result.one_phase_branch, loop_->Now() + options_.time_limit,
                   std::move(done));
  });
}

// --- AsyncTransaction -------------------------------------------------------------

AsyncTransaction::AsyncTransaction(AsyncClient* client, ClusterId cluster, Gtid gtid,
                                   TransactionOptions options, bool joined)
    : client_(client),
      cluster_(cluster),
      gtid_(gtid),
      options_(options),
      joined_(joined),
      deadline_(options_.time_limit > Duration()
                    ? client->loop_->Now() + options_.time_limit
                    : Timestamp::Infinite()),
      shared_(joined) {}

CommitResult AsyncTransaction::Aborted(AbortCause cause, std::string detail) const {
  return CommitResult{Outcome::kAborted, cause, gtid_, std::move(detail)};
}

// --- order ---

absl::Status AsyncTransaction::CheckActive() const {
  if (!ended_ && !ending_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("transaction ", ToString(gtid_),
                   end_.has_value() ? " has ended already" : " is being ended"));
}

CommitResult AsyncTransaction::Ended() const {
  CommitResult result;
  result.gtid = gtid_;
  if (end_.has_value()) result = *end_;
  result.work = CheckActive();
  if (result.detail.empty()) result.detail = std::string(result.work.message());
  return result;
}

AsyncTransaction::CommitCallback AsyncTransaction::Keeping(CommitCallback done) {
  return [self = shared_from_this(),
          done = std::move(done)](const CommitResult& result) mutable {
    self->end_ = result;
    done(result);
  };
}

void AsyncTransaction::Doom(AbortCause cause, std::string detail) {
  if (doomed_ != AbortCause::kNone) return;
  doomed_ = cause;
  doom_detail_ = std::move(detail);
}

Duration AsyncTransaction::TimeFor(Duration asked) const {
  const Timestamp now = client_->loop_->Now();
  return deadline_ == Timestamp::Infinite() ? asked : std::min(asked, deadline_ - now);
}

// --- end ---

std::vector<BranchId> AsyncTransaction::AllBranches() const {
  std::vector<BranchId> all = carried_;
  for (const auto& [resource, branch] : branches_) {
    if (branch.started) all.push_back(branch.id);
  }
  return all;
}

void AsyncTransaction::Commit(CommitCallback done) {
  if (joined_ && !ended_) {
    CommitResult refused;
    refused.gtid = gtid_;
    refused.detail = kCommittedByCaller;
    refused.work = absl::FailedPreconditionError(kCommittedByCaller);
    return done(refused);
  }
  if (ended_ || ending_) return done(Ended());
  ending_ = true;
  when_idle_ = [this, done = Keeping(std::move(done))]() mutable {
    CommitWhenIdle(std::move(done));
  };
  if (calls_under_way_ == 0) std::exchange(when_idle_, nullptr)();
}

// No call is under way, so every branch is known.
void AsyncTransaction::CommitWhenIdle(CommitCallback done) {
  if (client_->loop_->Now() >= deadline_) {
    Doom(AbortCause::kTimedOut,
         absl::StrCat("the transaction's time limit of ", options_.time_limit.millis(),
                      " ms was over before commit was asked for"));
  }
  if (doomed_ != AbortCause::kNone) {
    return RollbackBecause(doomed_, doom_detail_, std::move(done));
  }
  if (!last_work_.empty()) return DoLastWork(std::move(done));
  CommitAfterWork(std::move(done));
}

void AsyncTransaction::CommitAfterWork(CommitCallback done) {
  ended_ = true;
  const std::vector<BranchId> all = AllBranches();
  if (all.empty() && !shared_) {
    return done(CommitResult{Outcome::kCommitted, AbortCause::kNone, gtid_, ""});
  }
  if (all.size() > 1 || !carried_.empty() || shared_ || may_be_prepared()) {
    return CommitTwoPhase(std::move(done));
  }
  const auto only = std::find_if(branches_.begin(), branches_.end(),
                                 [](const auto& item) { return item.second.started; });
  CommitOnePhase(client_->loop_, client_->links_, &client_->resolver_,
                 only->second.address, only->second.id,
                 client_->loop_->Now() + client_->options_.time_limit, std::move(done));
}

void AsyncTransaction::CommitTwoPhase(CommitCallback done) {
  wire::CommitRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid_);
  request.branches = ToWire(carried_);
  for (const auto& [resource, branch] : branches_) {
    if (!branch.started) continue;
    if (branch.prepared) {
      request.prepared.push_back(static_cast<int32_t>(request.branches.size()));
      request.__isset.prepared = true;
    }
    request.branches.push_back(ToWire(branch.id));
  }
  request.mode = ToWire(options_.mode);
  request.timeout_ms = static_cast<int32_t>(
      std::max<int64_t>(TimeFor(client_->options_.commit_timeout).millis(), 1));
  auto shared_done = std::make_shared<CommitCallback>(std::move(done));
  AskForOutcome(&client_->coordinators_, client_->options_.time_limit, std::move(request),
                &CoordinatorLink::commit,
                [self = shared_from_this(), shared_done](const wire::OutcomeReply& reply,
                                                         Verdict verdict) {
                  if (verdict == Verdict::kNothingBegun) {
                    return self->AbortUnbegun(reply.result.message,
                                              std::move(*shared_done));
                  }
                  (*shared_done)(FromReply(reply, self->gtid_));
                });
}

// The commit was requested, no coordinator has begun it, and the request is not repeated.
// So the transaction will not commit, and its branches are rolled back.
void AsyncTransaction::AbortUnbegun(const std::string& why, CommitCallback done) {
  CommitResult aborted = Aborted(AbortCause::kRefused, why);
  RollbackAtResources();
  if (!shared_ && !may_be_prepared() && carried_.empty()) return done(aborted);
  // Only coordinators can end some of the branches. Their answer is the outcome: a
  // service that shares the transaction may have requested the commit too.
  RollbackAtCoordinator(why, [aborted = std::move(aborted),
                              done = std::move(done)](const CommitResult& said) mutable {
    done(said.outcome == Outcome::kAborted ? aborted : said);
  });
}

void AsyncTransaction::Rollback(std::string_view reason, CommitCallback done) {
  if (ended_ || ending_) return done(Ended());
  EndByRollback(reason, Keeping(std::move(done)));
}

void AsyncTransaction::EndByRollback(std::string_view reason, CommitCallback done) {
  ended_ = true;
  // If no other object could have requested the commit, nothing has to be recorded. If
  // the transaction is shared, others could, and only the log can say how it ends.
  if (!shared_ && !joined_ && !may_be_prepared()) {
    client_->rolled_back_.Add(gtid_);
    RollbackAtResources();
    return done(Aborted(AbortCause::kRolledBack, std::string(reason)));
  }
  RollbackAtCoordinator(reason, std::move(done));
}

void AsyncTransaction::RollbackBecause(AbortCause cause, std::string detail,
                                       CommitCallback done) {
  EndByRollback(detail, [done = std::move(done), cause,
                         detail](const CommitResult& result) mutable {
    CommitResult aborted = result;
    if (aborted.outcome == Outcome::kAborted) {
      aborted.cause = cause;
      aborted.detail = detail;
    }
    done(aborted);
  });
}

void AsyncTransaction::Abandon() {
  if (!joined_) return Rollback("abandoned", [](const CommitResult&) {});
  if (ended_) return;
  ended_ = true;
  for (const auto& [resource, branch] : branches_) {
    if (!branch.handed_over || doomed_ != AbortCause::kNone) RollbackAtResource(branch);
  }
}

void AsyncTransaction::RollbackAtResources() {
  for (const auto& [resource, branch] : branches_) RollbackAtResource(branch);
}

// Works without a coordinator: no commit was requested, and a branch that has been asked
// to vote answers RETRY. If the message is lost, the branch's idle time ends it.
void AsyncTransaction::RollbackAtResource(const Branch& branch) {
  if (!branch.started) return;
  wire::BranchList list;
  list.context = MakeContext();
  list.branches.push_back(ToWire(branch.id));
  ParticipantLink* link = client_->links_->Participant(branch.address);
  if (link != nullptr) link->rollback([](const wire::FinishReply&) {}, list);
}

void AsyncTransaction::RollbackAtCoordinator(std::string_view reason,
                                             CommitCallback done) {
  wire::RollbackRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid_);
  request.branches = ToWire(AllBranches());
  request.__set_reason(std::string(reason));
  auto shared_done = std::make_shared<CommitCallback>(std::move(done));
  AskForOutcome(
      &client_->coordinators_, client_->options_.time_limit, std::move(request),
      &CoordinatorLink::rollback,
      [self = shared_from_this(), shared_done](const wire::OutcomeReply& reply, Verdict) {
        CommitResult outcome = FromReply(reply, self->gtid_);
        // No commit was requested, and none will be: a branch that is prepared is rolled
        // back when it inquires.
        if (outcome.outcome == Outcome::kUnknown && !self->shared_ && !self->joined_) {
          outcome = self->Aborted(AbortCause::kRolledBack, reply.result.message);
        }
        (*shared_done)(outcome);
      });
}

}  // namespace concordat::client
