#include "participant/resources/postgresql/settler.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::postgresql {

namespace {

constexpr Duration kPause = Duration::Millis(15);
// The first connection is made for it, however little patience there is for a commit.
constexpr Duration kGenerationPatience = Duration::Seconds(10);
constexpr std::string_view kUndefinedObject = "42704";
constexpr std::string_view kUndefinedFunction = "42883";
constexpr std::string_view kInvalidSchema = "3F000";

}  // namespace

struct Settler::Ending {
  BranchId branch;
  bool commit = false;
  Timestamp until;
  Callback<FinishResult> done;
};

struct Settler::Query {
  std::vector<Statement> statements;
  Timestamp until;
  Callback<BatchResult> done;
};

Settler::Settler(rpc::EventLoop* loop, Pool* pool, Owner owner, Duration patience)
    : loop_(loop), pool_(pool), owner_(std::move(owner)), patience_(patience) {}

Settler::~Settler() { *alive_ = false; }

void Settler::After(Duration delay, absl::AnyInvocable<void()> task) {
  loop_->RunAfter(delay, [alive = alive_, task = std::move(task)]() mutable {
    if (*alive) task();
  });
}

// --- one round trip ---

void Settler::Run(std::vector<Statement> statements, Callback<BatchResult> done) {
  pool_->Acquire([this, alive = alive_, statements = std::move(statements),
                  done = std::move(done)](absl::StatusOr<ConnectionPtr> got) mutable {
    if (!got.ok() || !*alive) {
      BatchResult lost;
      lost.lost = lost.not_sent = true;
      lost.why_lost = std::string(got.status().message());
      return done(std::move(lost));
    }
    ConnectionPtr connection = *std::move(got);
    Connection* c = connection.get();
    c->Run(std::move(statements), [this, alive, connection = std::move(connection),
                                   done = std::move(done)](BatchResult r) mutable {
      if (*alive) {
        if (connection->plans_stale()) connection->Close("its plans are out of date");
        pool_->Release(std::move(connection));
      }
      done(std::move(r));
    });
  });
}

void Settler::RunSurely(std::vector<Statement> statements, Timestamp until,
                        Callback<BatchResult> done) {
  RunAgain(std::make_shared<Query>(Query{std::move(statements), until, std::move(done)}));
}

void Settler::RunAgain(std::shared_ptr<Query> query) {
  Run(query->statements, [this, alive = alive_, query](BatchResult r) {
    const bool failed =
        !r.ok() && (r.lost || IsTransient(SqlState(r.results[r.FirstFailed()].get())));
    if (!failed || !*alive || stopped_ || loop_->Now() >= query->until) {
      return query->done(std::move(r));
    }
    After(kPause, [this, query] { RunAgain(query); });
  });
}

// --- commit and rollback ---

void Settler::End(const BranchId& branch, bool commit, Callback<FinishResult> done) {
  TryFinish(std::make_shared<Ending>(
      Ending{branch, commit, loop_->Now() + patience_, std::move(done)}));
}

void Settler::TryFinish(std::shared_ptr<Ending> ending) {
  const std::string gid = GidOf(owner_.cluster, ending->branch);
  Run({FinishPrepared(gid, ending->commit)}, [this, ending](BatchResult r) {
    if (r.lost) return TryAgain(ending, r.Error());
    const PGresult* result = r.results[0].get();
    const std::string state = SqlState(result);
    if (state.empty()) return Answer(ending, FinishState::kDone, "");
    if (state == kUndefinedObject) return OnNotThere(ending);
    if (IsTransient(state)) return TryAgain(ending, ErrorText(result));
    LogEvent(Level::kError, "a prepared branch cannot be ended; it is kept")
        .Field("branch", ending->branch)
        .Field("error", ErrorText(result));
    Answer(ending, FinishState::kRetry, ErrorText(result));
  });
}

void Settler::TryAgain(const std::shared_ptr<Ending>& ending, std::string why) {
  if (stopped_ || loop_->Now() >= ending->until) {
    return Answer(ending, FinishState::kRetry, std::move(why));
  }
  After(kPause, [this, ending] { TryFinish(ending); });
}

// Scenario 26. Who committed or rolled it back, us before a lost answer or an operator,
// only the evidence can tell.
void Settler::OnNotThere(std::shared_ptr<Ending> ending) {
  LookUp(ending->branch, [this, ending](Evidence evidence) {
    switch (evidence) {
      case Evidence::kPrepared:  // another session was just trying, and failed
        return TryAgain(ending, "the prepared transaction is busy");
      case Evidence::kUnknown:
        return TryAgain(ending, "the evidence cannot be read");
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        if (ending->commit) return Answer(ending, FinishState::kDone, "");
        return Answer(ending, FinishState::kHeuristicCommit,
                      "somebody has committed the prepared transaction");
      case Evidence::kNone:
        break;
    }
    if (!ending->commit) return Answer(ending, FinishState::kDone, "");
    const bool seen = prepared_.contains(ending->branch);
    Answer(
        ending, seen ? FinishState::kHeuristicRollback : FinishState::kHeuristicHazard,
        absl::StrCat("the prepared transaction ", GidOf(owner_.cluster, ending->branch),
                     " is not there and left no evidence of a commit: somebody has "
                     "rolled it back, or the database is an older copy; compare the "
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
  RunSurely(
      {postgresql::ReadGeneration(owner_)},
      loop_->Now() + std::max(patience_, kGenerationPatience),
      [done = std::move(done)](BatchResult r) mutable {
        uint64_t generation = 0;
        if (!r.ok() || !absl::SimpleAtoi(std::string(Field(r.results[0].get(), 0, 0)),
                                         &generation)) {
          return done(absl::UnavailableError(
              absl::StrCat("concordat.generations cannot be read: ", r.Error())));
        }
        done(generation);
      });
}

// One that was sent before and not answered may be there by now: it is larger.
void Settler::SetGeneration(uint64_t known, uint64_t generation,
                            Callback<absl::Status> done) {
  Run({postgresql::SetGeneration(owner_, known, generation)},
      [known, done = std::move(done)](BatchResult r) mutable {
        const std::string state = r.lost ? "" : SqlState(r.results[0].get());
        const bool no_table = state == kUndefinedFunction || state == kInvalidSchema;
        if (!r.ok() && !no_table) return done(absl::UnavailableError(r.Error()));
        if (!no_table && Field(r.results[0].get(), 0, 0) == "t") {
          return done(absl::OkStatus());
        }
        done(absl::FailedPreconditionError(absl::StrCat(
            "the database has gone back in time under the process that serves it: it had "
            "the generation ",
            known,
            " in concordat.generations, and has not. A backup was put back, or a standby "
            "became the primary that had not received everything. Put the newer database "
            "back, and start the process again")));
      });
}

// --- finding out ---

// First whether it is prepared, then, in a statement and a snapshot of its own, the
// evidence: a branch that is committed in between is seen by the second.
void Settler::LookUp(const BranchId& branch, Callback<Evidence> done) {
  RunSurely({SelectPrepared(GidOf(owner_.cluster, branch)),
             SelectEvidence(owner_.cluster, branch)},
            loop_->Now() + patience_,
            [this, branch, done = std::move(done)](BatchResult r) mutable {
              if (!r.ok()) {
                LogEvent(Level::kWarning, "a branch cannot be looked up")
                    .Field("branch", branch)
                    .Field("error", r.Error());
                return done(Evidence::kUnknown);
              }
              const Evidence evidence = EvidenceFrom(r.results[1].get());
              const bool prepared = PQntuples(r.results[0].get()) > 0;
              if (evidence != Evidence::kNone || !prepared) return done(evidence);
              AddPrepared(branch);
              done(Evidence::kPrepared);
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

void Settler::EndBackend(const Backend& backend, Timestamp until, Callback<bool> gone) {
  RunSurely({TerminateBackend(backend)}, until,
            [this, backend, until, gone = std::move(gone)](BatchResult r) mutable {
              if (!r.ok()) return gone(false);
              if (PQntuples(r.results[0].get()) == 0) return gone(true);
              if (stopped_ || loop_->Now() >= until) return gone(false);
              After(kPause, [this, backend, until, gone = std::move(gone)]() mutable {
                EndBackend(backend, until, std::move(gone));
              });
            });
}

void Settler::Cancel(const Backend& backend, Callback<bool> done) {
  Run({CancelBackend(backend)},
      [done = std::move(done)](BatchResult r) mutable { done(r.ok()); });
}

void Settler::Abandon(const Backend& backend) {
  if (stopped_) return;
  RunSurely({TerminateBackend(backend)}, loop_->Now() + patience_, [](BatchResult) {});
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
  Run({DeleteEvidence(owner_, forgetting.below)},
      [this, alive = alive_, group](BatchResult r) {
        if (!*alive) return;
        Forgetting& f = forgetting_[group];
        const bool full =
            r.ok() && Field(r.results[0].get(), 0, 0) == absl::StrCat(kDeleteBatch);
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

void Settler::Scan(Callback<absl::StatusOr<PreparedScan>> done) {
  Statement scan{
      "SELECT gid, greatest(0, extract(epoch FROM clock_timestamp()-prepared)*1000)"
      "::bigint FROM pg_prepared_xacts WHERE database=current_database() "
      "ORDER BY prepared"};
  RunSurely(
      {std::move(scan)}, loop_->Now() + patience_,
      [owner = owner_, done = std::move(done)](BatchResult r) mutable {
        if (!r.ok()) return done(absl::UnavailableError(r.Error()));
        PreparedScan found;
        for (int row = 0; row < PQntuples(r.results[0].get()); ++row) {
          const std::string gid(Field(r.results[0].get(), row, 0));
          auto parsed = ParseXidText(gid);
          if (parsed.ok() && parsed->cluster == owner.cluster &&
              parsed->branch.resource == owner.resource) {
            int64_t age_ms = 0;
            const std::string_view age = Field(r.results[0].get(), row, 1);
            (void)std::from_chars(age.data(), age.data() + age.size(), age_ms);
            found.ours.push_back({std::move(parsed->branch), Duration::Millis(age_ms)});
          } else {
            found.others.push_back(gid);
          }
        }
        done(std::move(found));
      });
}

}  // namespace concordat::participant::postgresql
