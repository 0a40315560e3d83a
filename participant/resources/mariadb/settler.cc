#include "participant/resources/mariadb/settler.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::mariadb {

namespace {

constexpr Duration kPause = Duration::Millis(15);
constexpr unsigned kNoSuchTable = 1146;
// A commit is mostly there before, and to close a connection is not cheap.
constexpr Duration kHoldAtLeast = Duration::Millis(250);

// What the server answers when the branch is not where it was looked for.
bool MayBeElsewhere(unsigned error) {
  return error == kXaNota || error == kXaRollback || error == kXaRmFail ||
         (error >= 1612 && error <= 1614) || error == 1401;
}

}  // namespace

struct Settler::Ending {
  BranchId branch;
  bool commit = false;
  Timestamp until;
  Callback<FinishResult> done;
  // A session that may still be ending the branch.
  Backend suspect;
};

struct Settler::Query {
  std::vector<Statement> statements;
  Timestamp until;
  Callback<BatchResult> done;
};

Settler::Settler(rpc::EventLoop* loop, Pool* pool, Pool* work_pool, Owner owner,
                 Duration patience, std::unique_ptr<AnswerWatch> watch,
                 Counters* counters)
    : loop_(loop),
      pool_(pool),
      work_pool_(work_pool),
      owner_(std::move(owner)),
      patience_(patience),
      watch_(std::move(watch)),
      counters_(counters) {}

Settler::~Settler() { *alive_ = false; }

void Settler::After(Duration delay, absl::AnyInvocable<void()> task) {
  loop_->RunAfter(delay, [alive = alive_, task = std::move(task)]() mutable {
    if (*alive) task();
  });
}

// --- held connections ---

void Settler::Hold(const BranchId& branch, ConnectionPtr connection) {
  AddPrepared(branch);
  held_[branch] = Held{std::move(connection), loop_->Now()};
}

void Settler::GiveBack(Held held, bool clean) {
  if (!clean) held.connection->Close("it is not used again");
  held.connection->Recycle();
  work_pool_->Release(std::move(held.connection));
}

void Settler::DetachOne() {
  auto oldest = held_.end();
  std::vector<BranchId> dead;
  for (auto it = held_.begin(); it != held_.end(); ++it) {
    if (!it->second.connection->alive()) dead.push_back(it->first);
    if (oldest == held_.end() || it->second.since < oldest->second.since) oldest = it;
  }
  if (dead.empty() && oldest != held_.end() &&
      oldest->second.since + kHoldAtLeast <= loop_->Now()) {
    dead.push_back(oldest->first);
    counters_->detached.fetch_add(1, std::memory_order_relaxed);
  }
  for (const BranchId& branch : dead) {
    const auto it = held_.find(branch);
    if (it == held_.end()) continue;
    Held held = std::move(it->second);
    held_.erase(it);
    Abandon(held.connection->backend());
    GiveBack(std::move(held), /*clean=*/false);
  }
}

// --- one round trip ---

void Settler::Run(std::vector<Statement> statements, Answered done) {
  pool_->Acquire([this, alive = alive_, statements = std::move(statements),
                  done = std::move(done)](absl::StatusOr<ConnectionPtr> got) mutable {
    if (!got.ok() || !*alive) {
      BatchResult lost;
      lost.lost = lost.not_sent = true;
      lost.why_lost = std::string(got.status().message());
      return done(std::move(lost), Backend());
    }
    const ConnectionPtr connection = *std::move(got);
    connection->Run(
        std::move(statements),
        [this, alive, connection, done = std::move(done)](BatchResult r) mutable {
          const Backend backend = connection->backend();
          if (*alive) pool_->Release(connection);
          done(std::move(r), backend);
        });
  });
}

void Settler::RunSurely(std::vector<Statement> statements, Timestamp until,
                        Callback<BatchResult> done) {
  RunAgain(std::make_shared<Query>(Query{std::move(statements), until, std::move(done)}));
}

void Settler::RunAgain(std::shared_ptr<Query> query) {
  Run(query->statements, [this, alive = alive_, query](BatchResult r, const Backend&) {
    const bool failed = !r.ok() && (r.lost || IsTransient(r.ErrorNumber()));
    if (!failed || !*alive || stopped_ || loop_->Now() >= query->until) {
      return query->done(std::move(r));
    }
    After(kPause, [this, query] { RunAgain(query); });
  });
}

// --- commit and rollback ---

void Settler::End(const BranchId& branch, bool commit, Callback<FinishResult> done) {
  auto ending = std::make_shared<Ending>();
  ending->branch = branch;
  ending->commit = commit;
  ending->until = loop_->Now() + patience_;
  ending->done = std::move(done);
  TryFinish(std::move(ending));
}

void Settler::TryFinish(std::shared_ptr<Ending> ending) {
  if (const auto it = held_.find(ending->branch); it != held_.end()) {
    Held held = std::move(it->second);
    held_.erase(it);
    if (held.connection->alive()) return FinishHere(std::move(ending), std::move(held));
    ending->suspect = held.connection->backend();
    GiveBack(std::move(held), /*clean=*/false);
  }
  if (ending->suspect.is_none()) return FinishElsewhere(std::move(ending));
  EndBackend(ending->suspect, ending->until, [this, ending](bool gone) {
    if (!gone) return TryAgain(ending, "the session that had the branch is not gone yet");
    ending->suspect = Backend();
    FinishElsewhere(ending);
  });
}

namespace {
std::vector<Statement> FinishStatement(const std::string& xid, bool commit) {
  if (!commit) return {XaRollback(xid)};
  return {XaCommit(xid), FlushCommits()};
}

// In the session of the branch, which has not got the role to flush.
std::vector<Statement> FinishHeld(const std::string& xid, bool commit) {
  if (!commit) return {XaRollback(xid), ReleaseLocks()};
  std::vector<Statement> finish = {XaCommit(xid)};
  for (Statement& flush : FlushCommitsWithRole()) finish.push_back(std::move(flush));
  finish.push_back(ReleaseLocks());
  return finish;
}
}  // namespace

void Settler::FinishHere(std::shared_ptr<Ending> ending, Held held) {
  const ConnectionPtr connection = held.connection;
  connection->Run(FinishHeld(XidSql(owner_.cluster, ending->branch), ending->commit),
                  [this, ending, held = std::move(held)](BatchResult r) mutable {
                    if (!r.ok()) ending->suspect = held.connection->backend();
                    if (r.lost)
                      counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
                    GiveBack(std::move(held), r.ok() && !r.in_transaction);
                    if (r.ok()) return Answer(ending, FinishState::kDone, "");
                    TryAgain(ending, r.Error());
                  });
}

void Settler::FinishElsewhere(std::shared_ptr<Ending> ending) {
  Run(FinishStatement(XidSql(owner_.cluster, ending->branch), ending->commit),
      [this, ending](BatchResult r, const Backend& backend) {
        if (r.lost) ending->suspect = backend;
        OnFinished(ending, r);
      });
}

void Settler::OnFinished(std::shared_ptr<Ending> ending, const BatchResult& r) {
  if (r.lost) return TryAgain(ending, r.Error());
  if (r.ok()) return Answer(ending, FinishState::kDone, "");
  if (MayBeElsewhere(r.ErrorNumber())) return OnNotThere(std::move(ending));
  if (IsTransient(r.ErrorNumber())) return TryAgain(ending, r.Error());
  LogEvent(Level::kError, "a prepared branch cannot be ended; it is kept")
      .Field("branch", ending->branch)
      .Field("error", r.Error());
  Answer(ending, FinishState::kRetry, r.Error());
}

void Settler::TryAgain(const std::shared_ptr<Ending>& ending, std::string why) {
  if (stopped_ || loop_->Now() >= ending->until) {
    if (!ending->suspect.is_none()) Abandon(ending->suspect);
    return Answer(ending, FinishState::kRetry, std::move(why));
  }
  After(kPause, [this, ending] { TryFinish(ending); });
}

// Scenario 26. Who committed or rolled it back, us before a lost answer or an operator,
// only the evidence can tell.
void Settler::OnNotThere(std::shared_ptr<Ending> ending) {
  LookUp(ending->branch, [this, ending](Evidence evidence) {
    switch (evidence) {
      case Evidence::kPrepared:  // its session is just going, or another one is at it
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
           absl::StrCat("the prepared branch ", ToString(ending->branch),
                        " is not there and left no evidence of a commit: somebody has "
                        "rolled it back, or the server is an older copy; compare the "
                        "data"));
  });
}

void Settler::Answer(const std::shared_ptr<Ending>& ending, FinishState finish,
                     std::string detail) {
  if (finish != FinishState::kRetry) {
    prepared_.erase(ending->branch);
    if (looking_) ended_.insert(ending->branch);
  }
  ending->done({finish, std::move(detail)});
}

// --- the generation ---

void Settler::ReadGeneration(Callback<absl::StatusOr<uint64_t>> done) {
  RunSurely({InsertGeneration(owner_), SelectGeneration(owner_)},
            loop_->Now() + patience_, [done = std::move(done)](BatchResult r) mutable {
              uint64_t generation = 0;
              if (!r.ok() || r.results[1].row_count() != 1 ||
                  !absl::SimpleAtoi(std::string(r.results[1].Field(0, 0)), &generation)) {
                return done(absl::UnavailableError(
                    absl::StrCat("concordat.generations cannot be read: ", r.Error())));
              }
              done(generation);
            });
}

// One that was sent before and not answered may be there by now: it is larger.
void Settler::SetGeneration(uint64_t known, uint64_t generation,
                            Callback<absl::Status> done) {
  Run({UpdateGeneration(owner_, known, generation)},
      [known, done = std::move(done)](BatchResult r, const Backend&) mutable {
        const bool no_table = r.ErrorNumber() == kNoSuchTable;
        if (!r.ok() && !no_table) return done(absl::UnavailableError(r.Error()));
        if (!no_table && r.results[0].changed == 1) return done(absl::OkStatus());
        done(absl::FailedPreconditionError(absl::StrCat(
            "the server has gone back in time under the process that serves it: it had "
            "the generation ",
            known,
            " in concordat.generations, and has not. A backup was put back, or a replica "
            "became the primary that had not received everything. Put the newer one "
            "back, and start the process again")));
      });
}

// --- finding out ---

// First whether it is prepared, then, in a statement and a snapshot of its own, the
// evidence: a branch that is committed in between is seen by the second. While a session
// commits it, XA RECOVER still lists it. Whoever committed it may not have flushed it:
// the session of ours that was lost between XA COMMIT and its flush, or an operator's. So
// what was seen is flushed before anybody hears of it (scenario 93).
void Settler::LookUp(const BranchId& branch, Callback<Evidence> done) {
  RunSurely(
      {Recover(), SelectEvidence(owner_.cluster, branch), FlushEngine()},
      loop_->Now() + patience_,
      [cluster = owner_.cluster, branch, done = std::move(done)](BatchResult r) mutable {
        if (!r.ok()) {
          LogEvent(Level::kWarning, "a branch cannot be looked up")
              .Field("branch", branch)
              .Field("error", r.Error());
          return done(Evidence::kUnknown);
        }
        bool prepared = false;
        for (size_t row = 0; row < r.results[0].row_count(); ++row) {
          const auto found = ParseRecovered(r.results[0], row);
          prepared = prepared ||
                     (found.ok() && found->cluster == cluster && found->branch == branch);
        }
        const Evidence evidence = EvidenceFrom(r.results[1]);
        done(evidence == Evidence::kNone && prepared ? Evidence::kPrepared : evidence);
      });
}

void Settler::FindOut(const Backend& backend, const BranchId& branch,
                      Callback<Evidence> done) {
  EndBackend(backend, loop_->Now() + patience_,
             [this, branch, done = std::move(done)](bool gone) mutable {
               if (!gone) return done(Evidence::kUnknown);
               LookUp(branch, std::move(done));
             });
}

// A session is in the server's list until it has rolled back, or handed its prepared
// branch over. What KILL answers does not matter: it is looked again.
void Settler::EndBackend(const Backend& backend, Timestamp until, Callback<bool> gone) {
  RunSurely(
      {CountSession(backend)}, until,
      [this, backend, until, gone = std::move(gone)](BatchResult r) mutable {
        if (!r.ok()) return gone(false);
        if (r.results[0].Field(0, 0) == "0") return gone(true);
        if (stopped_ || loop_->Now() >= until) return gone(false);
        Run({KillSession(backend.id)}, [this, backend, until, gone = std::move(gone)](
                                           BatchResult, const Backend&) mutable {
          After(kPause, [this, backend, until, gone = std::move(gone)]() mutable {
            EndBackend(backend, until, std::move(gone));
          });
        });
      });
}

void Settler::Cancel(const Backend& backend, Callback<bool> done) {
  Run({KillQuery(backend.id)}, [this, alive = alive_, backend, done = std::move(done)](
                                   BatchResult r, const Backend&) mutable {
    if (r.ok() && *alive) watch_->Hurry(backend);
    done(r.ok());
  });
}

void Settler::Abandon(const Backend& backend) {
  if (stopped_ || backend.is_none()) return;
  EndBackend(backend, loop_->Now() + patience_, [](bool) {});
}

// --- keeping house ---

void Settler::ForgetBelow(const Gtid& watermark) {
  Forgetting& forgetting = forgetting_[watermark.group];
  forgetting.below = watermark;
  forgetting.again = true;
  if (!forgetting.running) Delete(watermark.group);
}

void Settler::Delete(GroupId group) {
  Forgetting& forgetting = forgetting_[group];
  forgetting.running = true;
  forgetting.again = false;
  Run({DeleteEvidence(owner_, forgetting.below), DeleteOldSessions(owner_)},
      [this, alive = alive_, group](BatchResult r, const Backend&) {
        if (!*alive) return;
        Forgetting& f = forgetting_[group];
        const bool full = r.ok() && r.results[0].changed == kDeleteBatch;
        if (!r.ok()) {
          // The next watermark tries again.
          LogEvent(Level::kDebug, "evidence was not deleted").Field("error", r.Error());
        }
        if ((!full && !f.again) || stopped_) {
          f.running = false;
          return;
        }
        After(kPause, [this, group] { Delete(group); });
      });
}

void Settler::Scan(Callback<absl::StatusOr<MariadbPreparedScan>> done) {
  RunSurely({Recover()}, loop_->Now() + patience_,
            [owner = owner_, done = std::move(done)](BatchResult r) mutable {
              if (!r.ok()) return done(absl::UnavailableError(r.Error()));
              MariadbPreparedScan found;
              for (size_t row = 0; row < r.results[0].row_count(); ++row) {
                auto parsed = ParseRecovered(r.results[0], row);
                if (parsed.ok() && parsed->cluster == owner.cluster &&
                    parsed->branch.resource == owner.resource) {
                  found.ours.push_back({std::move(parsed->branch), Duration()});
                } else {
                  found.others.emplace_back(r.results[0].Field(row, 3));
                }
              }
              done(std::move(found));
            });
}

}  // namespace concordat::participant::mariadb
