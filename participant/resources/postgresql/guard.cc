#include "participant/resources/postgresql/guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::postgresql {

namespace {

constexpr Duration kPoll = Duration::Millis(20);
constexpr Duration kReconnect = Duration::Millis(200);

}  // namespace

std::string ApplicationName(const Owner& owner) {
  // At most 63 bytes: 10 + 16 + 1 + kMaxResourceNameLength.
  return absl::StrCat("concordat_", absl::Hex(owner.cluster.value(), absl::kZeroPad16),
                      "_", owner.resource);
}

Guard::Guard(rpc::EventLoop* loop, ConnectionConfig config, Owner owner,
             std::shared_ptr<std::string> pid, Counters* counters)
    : loop_(loop),
      config_(std::move(config)),
      owner_(std::move(owner)),
      pid_(std::move(pid)),
      counters_(counters),
      why_(loop, owner_.resource) {}

Guard::~Guard() { *alive_ = false; }

void Guard::After(Duration delay, void (Guard::*step)()) {
  loop_->RunAfter(delay, [this, alive = alive_, step] {
    if (*alive && !closed_) (this->*step)();
  });
}

void Guard::Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done) {
  taken_ = std::move(done);
  give_up_at_ = loop_->Now() + patience;
  Connect();
}

void Guard::Connect() {
  connection_ = std::make_shared<Connection>(loop_, config_, counters_);
  connection_->OnBroken([this, alive = alive_] {
    if (!*alive || closed_ || !held()) return;
    held_.store(false, std::memory_order_release);
    pid_->assign("none");  // nobody's: new connections are refused
    why_.Lost("the connection to the database was lost");
    LogEvent(Level::kWarning, "the resource's lock was lost with its connection")
        .Field("resource", owner_.resource);
    After(Duration::Millis(1), &Guard::Connect);
  });
  connection_->Connect([this, alive = alive_](absl::Status status) {
    if (*alive && !closed_) OnConnected(status);
  });
}

void Guard::OnConnected(const absl::Status& status) {
  if (!status.ok()) return Failed(status);
  if (first_) return EndOthers();
  TryLock();
}

// A configuration that is refused now will be refused again; a server that is not there
// may come.
void Guard::Failed(const absl::Status& status) {
  if (taken_ != nullptr &&
      (!absl::IsUnavailable(status) || loop_->Now() >= give_up_at_)) {
    return std::exchange(taken_, nullptr)(status);
  }
  why_.Report(Level::kWarning, "waiting for the database", std::string(status.message()));
  After(kReconnect, &Guard::Connect);
}

namespace {

// By the name that they got when they were connected, and by what they have said since: a
// client may have changed the name.
Statement EndOthersSql(const Owner& owner, bool by_name_only) {
  constexpr char kByName[] =
      "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE "
      "a.datname=current_database() AND a.usename=current_user AND "
      "a.pid<>pg_backend_pid() AND (a.application_name=$1";
  std::vector<Param> params = {Text(ApplicationName(owner))};
  if (by_name_only) return {absl::StrCat(kByName, ")"), std::move(params)};
  params.push_back(Text(owner.resource));
  params.push_back(Text(absl::StrCat(static_cast<int64_t>(owner.cluster.value()))));
  return {absl::StrCat(kByName,
                       " OR EXISTS(SELECT 1 FROM concordat.sessions s WHERE s.pid=a.pid "
                       "AND s.started=a.backend_start AND s.resource=$2 AND "
                       "s.cluster=$3))"),
          std::move(params)};
}

// No schema, no table, no rights, or a standby: what the start check will say. None has
// said anything there.
bool IsNotReady(const BatchResult& r) {
  if (r.lost || r.ok()) return false;
  const std::string state = SqlState(r.results[r.FirstFailed()].get());
  return state == "3F000" || state == "42P01" || state == "42501" || state == "42703" ||
         state == "0A000";
}

}  // namespace

void Guard::EndAllOthers(bool by_name_only, absl::AnyInvocable<void(bool)> ended) {
  connection_->Run({EndOthersSql(owner_, by_name_only)},
                   [this, alive = alive_, by_name_only,
                    ended = std::move(ended)](BatchResult r) mutable {
                     if (!*alive || closed_) return;
                     if (!by_name_only && IsNotReady(r)) {
                       return EndAllOthers(/*by_name_only=*/true, std::move(ended));
                     }
                     if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
                     ended(PQntuples(r.results[0].get()) > 0);
                   });
}

void Guard::EndOthers() {
  EndAllOthers(/*by_name_only=*/false, [this](bool /*any*/) { TryLock(); });
}

void Guard::TryLock() {
  Statement lock{"SELECT pg_try_advisory_lock(hashtextextended($1,0))",
                 {Text(ApplicationName(owner_))}};
  std::vector<Statement> batch;
  if (!before_.is_none()) batch.push_back(TerminateBackend(before_));
  batch.push_back(std::move(lock));
  connection_->Run(std::move(batch), [this, alive = alive_](BatchResult r) {
    if (!*alive || closed_) return;
    if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
    if (Field(r.results.back().get(), 0, 0) == "t") {
      return first_ ? EndTheRest() : Held();
    }
    if (taken_ != nullptr && loop_->Now() >= give_up_at_) {
      return std::exchange(taken_, nullptr)(absl::FailedPreconditionError(
          absl::StrCat("another process serves resource ", owner_.resource,
                       " in this database under another role: stop it first")));
    }
    const bool own = r.results.size() > 1 && PQntuples(r.results[0].get()) > 0;
    if (!first_ && !own) {
      why_.Report(Level::kError, "another process has taken the resource over",
                  "stop one of the two");
    }
    After(first_ || own ? kPoll : kReconnect,
          first_ ? &Guard::EndOthers : &Guard::TryLock);
  });
}

void Guard::EndTheRest() {
  EndAllOthers(/*by_name_only=*/false, [this](bool any) {
    if (any) return After(kPoll, &Guard::EndTheRest);
    Held();
  });
}

void Guard::Held() {
  first_ = false;
  why_.Held();
  before_ = connection_->backend();
  *pid_ = before_.pid;
  held_.store(true, std::memory_order_release);
  if (taken_ != nullptr) std::exchange(taken_, nullptr)(absl::OkStatus());
}

void Guard::Close() {
  closed_ = true;
  held_.store(false, std::memory_order_release);
  if (connection_ != nullptr) connection_->Close("the resource is being closed");
  if (taken_ != nullptr) {
    std::exchange(taken_,
                  nullptr)(absl::UnavailableError("the resource is being closed"));
  }
}

}  // namespace concordat::participant::postgresql
