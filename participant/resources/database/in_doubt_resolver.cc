#include "participant/resources/database/in_doubt_resolver.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::database {

namespace {

constexpr Duration kPause = Duration::Millis(15);
// A session is kept at least so long, because the commit usually comes earlier, and it
// costs something to close a connection.
constexpr Duration kKeepAtLeast = Duration::Millis(250);
// The first connection is made for the generation, so reading it may take longer than a
// commit may.
constexpr Duration kGenerationPatience = Duration::Seconds(10);

}  // namespace

struct InDoubtResolver::Ending {
  BranchId branch;
  bool commit = false;
  Timestamp until;
  Callback<FinishResult> done;
  // The session that may still be ending the branch. None: there is none, or it does not
  // matter.
  SessionId suspect = {};
};

struct InDoubtResolver::Query {
  std::vector<Statement> statements;
  Timestamp until;
  Callback<BatchResult> done;
};

InDoubtResolver::InDoubtResolver(rpc::EventLoop* loop, Dialect* dialect, Pool* pool,
                                 Pool* work_pool, Duration patience, Counters* counters)
    : loop_(loop),
      dialect_(*dialect),
      pool_(pool),
      work_pool_(work_pool),
      patience_(patience),
      counters_(counters) {}

void InDoubtResolver::After(Duration delay, absl::AnyInvocable<void()> task) {
  loop_->RunAfter(delay, lifetime_.IfAlive(std::move(task)));
}

// --- kept sessions ---

void InDoubtResolver::Keep(const BranchId& branch, SessionPtr session) {
  AddPrepared(branch);
  kept_[branch] = Kept{std::move(session), loop_->Now()};
}

void InDoubtResolver::GiveBack(SessionPtr session, bool clean) {
  if (!clean) session->Close("it is not used again");
  if (session->alive()) session->Reset();
  work_pool_->Release(std::move(session));
}

void InDoubtResolver::DetachOne() {
  auto oldest = kept_.end();
  std::vector<BranchId> dead;
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (!it->second.session->alive()) dead.push_back(it->first);
    if (oldest == kept_.end() || it->second.since < oldest->second.since) oldest = it;
  }
  if (dead.empty() && oldest != kept_.end() &&
      oldest->second.since + kKeepAtLeast <= loop_->Now()) {
    dead.push_back(oldest->first);
    counters_->detached.fetch_add(1, std::memory_order_relaxed);
  }
  for (const BranchId& branch : dead) {
    const auto it = kept_.find(branch);
    if (it == kept_.end()) continue;
    SessionPtr session = std::move(it->second.session);
    kept_.erase(it);
    Abandon(session->id());
    GiveBack(std::move(session), /*clean=*/false);
  }
}

// --- one round trip ---

void InDoubtResolver::Run(std::vector<Statement> statements, Answered done) {
  pool_->Acquire([this, watch = lifetime_.watch(), statements = std::move(statements),
                  done = std::move(done)](absl::StatusOr<SessionPtr> got) mutable {
    if (!got.ok() || !watch.alive()) {
      BatchResult lost;
      lost.lost = lost.not_sent = true;
      lost.why_lost = std::string(got.status().message());
      return done(std::move(lost), SessionId());
    }
    const SessionPtr session = *std::move(got);
    session->Run(std::move(statements),
                 [this, watch, session, done = std::move(done)](BatchResult r) mutable {
                   const SessionId id = session->id();
                   if (watch.alive()) {
                     if (session->spent()) session->Close("it is not used again");
                     pool_->Release(session);
                   }
                   done(std::move(r), id);
                 });
  });
}

void InDoubtResolver::RunSurely(std::vector<Statement> statements, Timestamp until,
                                Callback<BatchResult> done) {
  RunAgain(std::make_shared<Query>(Query{std::move(statements), until, std::move(done)}));
}

void InDoubtResolver::RunAgain(std::shared_ptr<Query> query) {
  Run(query->statements,
      [this, watch = lifetime_.watch(), query](BatchResult r, const SessionId&) {
        const bool failed = !r.ok() && (r.lost || dialect_.IsTransient(*r.Failure()));
        if (!failed || !watch.alive() || stopped_ || loop_->Now() >= query->until) {
          return query->done(std::move(r));
        }
        After(kPause, [this, query] { RunAgain(query); });
      });
}

// --- commit and rollback ---

void InDoubtResolver::End(const BranchId& branch, bool commit,
                          Callback<FinishResult> done) {
  TryFinish(std::make_shared<Ending>(
      Ending{branch, commit, loop_->Now() + patience_, std::move(done)}));
}

void InDoubtResolver::TryFinish(const std::shared_ptr<Ending>& ending) {
  if (const auto it = kept_.find(ending->branch); it != kept_.end()) {
    SessionPtr session = std::move(it->second.session);
    kept_.erase(it);
    if (session->alive()) return FinishInItsSession(ending, std::move(session));
    ending->suspect = session->id();
    GiveBack(std::move(session), /*clean=*/false);
  }
  if (ending->suspect.is_none()) return FinishElsewhere(ending);
  EndSession(ending->suspect, ending->until, [this, ending](bool gone) {
    if (!gone) return TryAgain(ending, "the session that had the branch is not gone yet");
    ending->suspect = SessionId();
    FinishElsewhere(ending);
  });
}

void InDoubtResolver::FinishInItsSession(const std::shared_ptr<Ending>& ending,
                                         SessionPtr session) {
  session->Run(dialect_.FinishInItsSession(ending->branch, ending->commit),
               [this, ending, session](BatchResult r) {
                 if (!r.ok()) ending->suspect = session->id();
                 if (r.lost) counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
                 GiveBack(session, r.ok() && r.transaction == TransactionState::kNone);
                 if (r.ok()) return Answer(ending, FinishState::kDone, "");
                 TryAgain(ending, r.Error());
               });
}

void InDoubtResolver::FinishElsewhere(const std::shared_ptr<Ending>& ending) {
  Run(dialect_.Finish(ending->branch, ending->commit),
      [this, ending](BatchResult r, const SessionId& session) {
        if (r.lost && dialect_.rules().prepared_stays_with_session)
          ending->suspect = session;
        OnFinished(ending, r);
      });
}

void InDoubtResolver::OnFinished(const std::shared_ptr<Ending>& ending,
                                 const BatchResult& r) {
  if (r.lost) return TryAgain(ending, r.Error());
  const StatementResult* failure = r.Failure();
  if (failure == nullptr) return Answer(ending, FinishState::kDone, "");
  if (dialect_.IsNotThere(*failure)) return OnNotThere(ending);
  if (dialect_.IsTransient(*failure)) return TryAgain(ending, r.Error());
  LogEvent(Level::kError, "a prepared branch cannot be ended; it is kept")
      .Field("branch", ending->branch)
      .Field("error", r.Error());
  Answer(ending, FinishState::kRetry, r.Error());
}

void InDoubtResolver::TryAgain(const std::shared_ptr<Ending>& ending, std::string why) {
  if (stopped_ || loop_->Now() >= ending->until) {
    if (!ending->suspect.is_none()) Abandon(ending->suspect);
    return Answer(ending, FinishState::kRetry, std::move(why));
  }
  After(kPause, [this, ending] { TryFinish(ending); });
}

// Scenario 26. The branch was ended by this process, before an answer was lost, or by an
// operator. Only the evidence can tell how it ended.
void InDoubtResolver::OnNotThere(const std::shared_ptr<Ending>& ending) {
  LookUp(ending->branch, [this, ending](Evidence evidence) {
    switch (evidence) {
      case Evidence::kPrepared:  // its session, or another one, is still ending it
        return TryAgain(ending, "the prepared branch is in another session's hands");
      case Evidence::kUnknown:
        return TryAgain(ending, "the evidence cannot be read");
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        if (ending->commit) return Answer(ending, FinishState::kDone, "");
        return Answer(ending, FinishState::kHeuristicCommit,
                      "somebody has committed the prepared branch");
      case Evidence::kNone:
        break;
    }
    if (!ending->commit) return Answer(ending, FinishState::kDone, "");
    const bool seen = prepared_.contains(ending->branch);
    Answer(ending, seen ? FinishState::kHeuristicRollback : FinishState::kHeuristicHazard,
           absl::StrCat("the prepared branch ", dialect_.NameOf(ending->branch),
                        " is not there and left no evidence of a commit: somebody has "
                        "rolled it back, or the database is an older copy; compare the "
                        "data"));
  });
}

void InDoubtResolver::Answer(const std::shared_ptr<Ending>& ending, FinishState state,
                             std::string detail) {
  if (state != FinishState::kRetry) {
    prepared_.erase(ending->branch);
    if (scanning_) ended_.insert(ending->branch);
  }
  ending->done({state, std::move(detail)});
}

// --- the generation ---

void InDoubtResolver::ReadGeneration(Callback<absl::StatusOr<uint64_t>> done) {
  RunSurely(
      dialect_.ReadGeneration(), loop_->Now() + std::max(patience_, kGenerationPatience),
      [done = std::move(done)](BatchResult r) mutable {
        uint64_t generation = 0;
        if (!r.ok() ||
            !absl::SimpleAtoi(std::string(r.results.back().Field(0, 0)), &generation)) {
          return done(absl::UnavailableError(
              absl::StrCat("concordat.generations cannot be read: ", r.Error())));
        }
        done(generation);
      });
}

// The database may have a larger generation than `known`, from an earlier call that was
// sent and not answered.
void InDoubtResolver::SetGeneration(uint64_t known, uint64_t generation,
                                    Callback<absl::Status> done) {
  Run({dialect_.SetGeneration(known, generation)}, [this, known, done = std::move(done)](
                                                       BatchResult r,
                                                       const SessionId&) mutable {
    switch (r.lost ? GenerationAnswer::kUnknown : dialect_.GenerationFrom(r)) {
      case GenerationAnswer::kSet:
        return done(absl::OkStatus());
      case GenerationAnswer::kUnknown:
        return done(absl::UnavailableError(r.Error()));
      case GenerationAnswer::kGoneBack:
        return done(absl::FailedPreconditionError(absl::StrCat(
            "the database has gone back in time under the process that serves it: it "
            "had the generation ",
            known,
            " in concordat.generations, and has not. A backup was put back, or a standby "
            "became the primary that had not received everything. Put the newer "
            "database back, and start the process again")));
    }
  });
}

// --- finding out ---

void InDoubtResolver::LookUp(const BranchId& branch, Callback<Evidence> done) {
  RunSurely(dialect_.LookUp(branch), loop_->Now() + patience_,
            [this, watch = lifetime_.watch(), branch,
             done = std::move(done)](BatchResult r) mutable {
              if (!r.ok()) {
                LogEvent(Level::kWarning, "a branch cannot be looked up")
                    .Field("branch", branch)
                    .Field("error", r.Error());
                return done(Evidence::kUnknown);
              }
              const Evidence evidence = dialect_.EvidenceFrom(r, branch);
              if (evidence == Evidence::kPrepared && watch.alive()) AddPrepared(branch);
              done(evidence);
            });
}

void InDoubtResolver::FindOut(const SessionId& session, const BranchId& branch,
                              Callback<Evidence> done) {
  EndSession(session, loop_->Now() + patience_,
             [this, branch, done = std::move(done)](bool gone) mutable {
               if (!gone) return done(Evidence::kUnknown);
               LookUp(branch, std::move(done));
             });
}

// The server lists a session until it has rolled back, or has given up its prepared
// branch.
void InDoubtResolver::EndSession(const SessionId& session, Timestamp until,
                                 Callback<bool> gone) {
  RunSurely({dialect_.AskSession(session)}, until,
            [this, session, until, gone = std::move(gone)](BatchResult r) mutable {
              if (!r.ok()) return gone(false);
              if (dialect_.IsGone(r.results[0])) return gone(true);
              if (stopped_ || loop_->Now() >= until) return gone(false);
              auto again = [this, session, until, gone = std::move(gone)]() mutable {
                EndSession(session, until, std::move(gone));
              };
              std::optional<Statement> kill = dialect_.Kill(session.id);
              if (!kill.has_value()) return After(kPause, std::move(again));
              Run({*std::move(kill)},
                  lifetime_.IfAlive([this, again = std::move(again)](
                                        const BatchResult&, const SessionId&) mutable {
                    After(kPause, std::move(again));
                  }));
            });
}

void InDoubtResolver::Cancel(const SessionId& session, Callback<bool> done) {
  Run({dialect_.Cancel(session)},
      [this, watch = lifetime_.watch(), session, done = std::move(done)](
          BatchResult r, const SessionId&) mutable {
        if (r.ok() && watch.alive()) dialect_.OnCancelSent(session);
        done(r.ok());
      });
}

void InDoubtResolver::Abandon(const SessionId& session) {
  if (stopped_ || session.is_none()) return;
  EndSession(session, loop_->Now() + patience_, [](bool) {});
}

// --- evidence that is not asked for any more ---

void InDoubtResolver::ForgetBelow(const Gtid& watermark) {
  Forgetting& forgetting = forgetting_[watermark.group];
  forgetting.below = watermark;
  forgetting.again = true;
  if (!forgetting.running) Delete(watermark.group);
}

void InDoubtResolver::Delete(GroupId group) {
  Forgetting& forgetting = forgetting_[group];
  forgetting.running = true;
  forgetting.again = false;
  Run(dialect_.Forget(forgetting.below),
      lifetime_.IfAlive([this, group](const BatchResult& r, const SessionId&) {
        Forgetting& f = forgetting_[group];
        const bool full = r.ok() && dialect_.ForgotAFullBatch(r);
        if (!r.ok()) {
          // It is tried again with the next watermark.
          LogEvent(Level::kDebug, "evidence was not deleted").Field("error", r.Error());
        }
        if ((!full && !f.again) || stopped_) {
          f.running = false;
          return;
        }
        After(kPause, [this, group] { Delete(group); });
      }));
}

void InDoubtResolver::Scan(Callback<absl::StatusOr<PreparedScan>> done) {
  RunSurely({dialect_.ScanPrepared()}, loop_->Now() + patience_,
            [this, done = std::move(done)](BatchResult r) mutable {
              if (!r.ok()) return done(absl::UnavailableError(r.Error()));
              done(dialect_.PreparedFrom(r.results[0]));
            });
}

}  // namespace concordat::participant::database
