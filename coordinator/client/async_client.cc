#include "coordinator/client/async_client.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/client/one_phase.h"
#include "coordinator/client/wire_names.h"

namespace concordat::client {

namespace {

CommitResult FromReply(const wire::OutcomeReply& reply, const Gtid& gtid) {
  CommitResult result;
  result.gtid = gtid;
  if (reply.result.code == wire::Code::OK && reply.__isset.outcome) {
    if (reply.outcome == wire::Outcome::COMMITTED) {
      result.outcome = Outcome::kCommitted;
    } else {
      result.outcome = Outcome::kAborted;
      result.cause = FromWire(reply.cause);
      result.detail = reply.detail;
    }
    return result;
  }
  result.detail = absl::StrCat(reply.result.message, "; ask again: concordat txn show ",
                               ToString(gtid));
  return result;
}

// Why a transaction aborts whose work at commit was answered so.
AbortCause CauseOf(wire::Code::type code) {
  switch (code) {
    case wire::Code::CONFLICT:
      return AbortCause::kConflict;
    case wire::Code::CONDITION_FAILED:
    case wire::Code::INVALID:
    case wire::Code::NOT_FOUND:
      return AbortCause::kRolledBack;
    default:
      return AbortCause::kRefused;
  }
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
  wire::OutcomeRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid);
  auto reply = std::make_shared<wire::OutcomeReply>();
  auto shared_done =
      std::make_shared<absl::AnyInvocable<void(const CommitResult&)>>(std::move(done));
  coordinators_.Call(
      options_.time_limit,
      [request, reply](CoordinatorLink* link,
                       std::function<void(const wire::Result&)> answered) {
        link->outcome(
            [reply, answered = std::move(answered)](const wire::OutcomeReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            request);
      },
      [gtid, reply, shared_done](const wire::Result& result, Verdict) {
        reply->result = result;
        (*shared_done)(FromReply(*reply, gtid));
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
    CommitOnePhase(loop_, links_, *std::move(address), *result.one_phase_branch,
                   loop_->Now() + options_.time_limit,
                   [this, done = std::move(done)](const CommitResult& answer) mutable {
                     // It may have moved.
                     if (answer.one_phase_branch.has_value()) {
                       resolver_.Forget(answer.one_phase_branch->resource);
                     }
                     done(answer);
                   });
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
      shared_(joined) {}

CommitResult AsyncTransaction::Aborted(AbortCause cause, std::string detail) const {
  return CommitResult{Outcome::kAborted, cause, gtid_, std::move(detail)};
}

void AsyncTransaction::FillStartOptions(const std::string& resource,
                                        wire::ExecuteRequest* work) const {
  wire::StartOptions start = work->options;
  if (!options_.age.is_none()) start.__set_age(ToWire(options_.age));
  const auto level = options_.isolation.find(resource);
  if (level != options_.isolation.end()) start.__set_isolation(level->second);
  work->__set_options(start);
}

void AsyncTransaction::Execute(const std::string& resource, wire::ExecuteRequest work,
                               ExecuteCallback done) {
  if (ended_ || doomed_ != AbortCause::kNone) {
    wire::ExecuteReply reply;
    reply.result.code = wire::Code::BRANCH_GONE;
    reply.result.__set_message(
        ended_ ? "the transaction has ended"
               : absl::StrCat("the transaction can only be rolled back: ", doom_detail_));
    return done(reply);
  }
  Branch& branch = branches_[resource];
  if (!branch.address.empty())
    return ExecuteAt(resource, std::move(work), std::move(done));
  client_->resolver_.Resolve(
      resource, [self = shared_from_this(), resource, work = std::move(work),
                 done = std::move(done)](absl::StatusOr<std::string> address) mutable {
        if (address.ok()) {
          self->branches_[resource].address = *address;
          return self->ExecuteAt(resource, std::move(work), std::move(done));
        }
        self->branches_.erase(resource);
        wire::ExecuteReply reply;
        reply.result.code = absl::IsNotFound(address.status()) ? wire::Code::NOT_FOUND
                                                               : wire::Code::UNAVAILABLE;
        reply.result.__set_message(std::string(address.status().message()));
        done(reply);
      });
}

void AsyncTransaction::ExecuteAt(const std::string& resource, wire::ExecuteRequest work,
                                 ExecuteCallback done) {
  Branch& branch = branches_[resource];
  work.context = MakeContext();
  work.context.__set_deadline_ms(
      static_cast<int32_t>(client_->options_.execute_timeout.millis()));
  work.call_number = ++branch.calls;
  if (branch.started) {
    work.__set_branch(ToWire(branch.id));
  } else {
    work.__set_start(ToWire(gtid_));
    work.__set_resource(resource);
    FillStartOptions(resource, &work);
  }
  ParticipantLink* link = client_->links_->Participant(branch.address);
  auto shared_done = std::make_shared<ExecuteCallback>(std::move(done));
  auto on_reply = [self = shared_from_this(), resource,
                   shared_done](const wire::ExecuteReply& reply) {
    self->OnExecuted(resource, reply);
    (*shared_done)(reply);
  };
  if (link != nullptr) return link->execute(std::move(on_reply), work);
  wire::ExecuteReply reply;
  reply.result.code = wire::Code::UNAVAILABLE;
  reply.result.__set_message(
      absl::StrCat("resource ", resource, " has a bad address: ", branch.address));
  on_reply(reply);
}

void AsyncTransaction::OnExecuted(const std::string& resource,
                                  const wire::ExecuteReply& reply) {
  Branch& branch = branches_[resource];
  branch.prepared = reply.__isset.prepared && reply.prepared;
  if (reply.__isset.branch && !branch.started) {
    auto id = FromWire(reply.branch);
    branch.started = true;
    branch.id = std::move(id);
  }
  switch (reply.result.code) {
    case wire::Code::OK:
    case wire::Code::CONDITION_FAILED:
    case wire::Code::INVALID:
      break;
    case wire::Code::CONFLICT:
      doomed_ = AbortCause::kConflict;
      break;
    default:
      // What was done there is not known, or is lost.
      doomed_ = AbortCause::kRefused;
      client_->resolver_.Forget(resource);
      break;
  }
  if (doomed_ != AbortCause::kNone && doom_detail_.empty()) {
    doom_detail_ = absl::StrCat(resource, ": ", reply.result.message);
  }
  // Nothing was started there, so there is no branch to end.
  if (!branch.started && (reply.result.code == wire::Code::INVALID ||
                          reply.result.code == wire::Code::CONDITION_FAILED)) {
    branches_.erase(resource);
  }
}

// --- work at commit ---

absl::Status AsyncTransaction::AtCommit(const std::string& resource,
                                        wire::ExecuteRequest work) {
  if (ended_ || joined_) {
    return absl::FailedPreconditionError(
        joined_ ? "a joined transaction is committed by its caller"
                : "the transaction has ended already");
  }
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

// With a single branch nothing is asked to vote: it commits in one phase.
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
    Execute(
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

void AsyncTransaction::StartOwn(const std::string& resource, wire::StartOptions options,
                                ExecuteCallback done) {
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
        link->execute(
            [self, resource, shared_done](const wire::ExecuteReply& reply) {
              if (reply.result.code != wire::Code::OK) {
                self->client_->resolver_.Forget(resource);
              }
              (*shared_done)(reply);
            },
            request);
      });
}

void AsyncTransaction::AddPrepared(std::vector<BranchId> branches) {
  own_prepared_ = own_prepared_ || !branches.empty();
  for (BranchId& branch : branches) carried_.push_back(std::move(branch));
}

std::vector<BranchId> AsyncTransaction::AllBranches() const {
  std::vector<BranchId> all = carried_;
  for (const auto& [resource, branch] : branches_) {
    if (branch.started) all.push_back(branch.id);
  }
  return all;
}

void AsyncTransaction::Commit(CommitCallback done) {
  if (ended_ || joined_) {
    return done(CommitResult{Outcome::kUnknown, AbortCause::kNone, gtid_,
                             joined_ ? "a joined transaction is committed by its caller"
                                     : "the transaction has ended already"});
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
  if (all.size() == 1 && !shared_ && !may_be_prepared()) {
    const Branch& branch = branches_.begin()->second;
    return CommitOnePhase(client_->loop_, client_->links_, branch.address, branch.id,
                          client_->loop_->Now() + client_->options_.time_limit,
                          std::move(done));
  }
  CommitTwoPhase(std::move(done));
}

void AsyncTransaction::CommitTwoPhase(CommitCallback done) {
  wire::CommitRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid_);
  for (const BranchId& branch : carried_) request.branches.push_back(ToWire(branch));
  for (const auto& [resource, branch] : branches_) {
    if (!branch.started) continue;
    if (branch.prepared) {
      request.prepared.push_back(static_cast<int32_t>(request.branches.size()));
      request.__isset.prepared = true;
    }
    request.branches.push_back(ToWire(branch.id));
  }
  request.mode = options_.mode == Mode::kParallel ? wire::CommitMode::PARALLEL
                                                  : wire::CommitMode::DECIDED;
  request.timeout_ms = static_cast<int32_t>(
      std::max<int64_t>(client_->options_.commit_timeout.millis(), 1));
  auto reply = std::make_shared<wire::OutcomeReply>();
  auto shared_done = std::make_shared<CommitCallback>(std::move(done));
  client_->coordinators_.Call(
      client_->options_.time_limit,
      [request = std::move(request), reply](
          CoordinatorLink* link, std::function<void(const wire::Result&)> answered) {
        link->commit(
            [reply, answered = std::move(answered)](const wire::OutcomeReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            request);
      },
      [self = shared_from_this(), reply, shared_done](const wire::Result& result,
                                                      Verdict verdict) {
        if (verdict == Verdict::kNothingBegun) {
          return self->AbortUnbegun(result.message, std::move(*shared_done));
        }
        reply->result = result;
        (*shared_done)(FromReply(*reply, self->gtid_));
      });
}

// Commit was asked for, and no coordinator has begun it; it is not asked for again. So
// nothing commits, and the branches are told.
void AsyncTransaction::AbortUnbegun(const std::string& why, CommitCallback done) {
  CommitResult aborted = Aborted(AbortCause::kRefused, why);
  RollbackAtResources();
  if (!shared_ && !may_be_prepared() && carried_.empty()) return done(aborted);
  // Branches that only coordinators can tell. What they say counts: who shares the
  // transaction may have asked too.
  RollbackAtCoordinator(why, [aborted = std::move(aborted),
                              done = std::move(done)](const CommitResult& said) mutable {
    done(said.outcome == Outcome::kAborted ? aborted : said);
  });
}

void AsyncTransaction::Rollback(std::string_view reason, CommitCallback done) {
  if (ended_) {
    return done(CommitResult{Outcome::kUnknown, AbortCause::kNone, gtid_,
                             "the transaction has ended already"});
  }
  ended_ = true;
  // Nobody but this object could have asked to commit: nothing has to be recorded.
  // Whoever shares the transaction may: then only the log can say how it ends.
  if (!shared_ && !joined_ && !may_be_prepared()) {
    RollbackAtResources();
    return done(Aborted(AbortCause::kRolledBack, std::string(reason)));
  }
  RollbackAtCoordinator(reason, std::move(done));
}

void AsyncTransaction::RollbackBecause(AbortCause cause, std::string detail,
                                       CommitCallback done) {
  Rollback(detail,
           [done = std::move(done), cause, detail](const CommitResult& result) mutable {
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

// Needs no coordinator: nobody was asked to commit, and a branch that was asked to vote
// answers RETRY. A lost message is made up for by the branch's idle timer.
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
  for (const BranchId& branch : AllBranches()) request.branches.push_back(ToWire(branch));
  request.__set_reason(std::string(reason));
  auto reply = std::make_shared<wire::OutcomeReply>();
  auto shared_done = std::make_shared<CommitCallback>(std::move(done));
  client_->coordinators_.Call(
      client_->options_.time_limit,
      [request = std::move(request), reply](
          CoordinatorLink* link, std::function<void(const wire::Result&)> answered) {
        link->rollback(
            [reply, answered = std::move(answered)](const wire::OutcomeReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            request);
      },
      [self = shared_from_this(), reply, shared_done](const wire::Result& result,
                                                      Verdict) {
        reply->result = result;
        CommitResult outcome = FromReply(*reply, self->gtid_);
        // Nobody has asked to commit, and nobody will: what is prepared is rolled back
        // when it asks.
        if (outcome.outcome == Outcome::kUnknown && !self->shared_ && !self->joined_) {
          outcome = self->Aborted(AbortCause::kRolledBack, result.message);
        }
        (*shared_done)(outcome);
      });
}

}  // namespace concordat::client
