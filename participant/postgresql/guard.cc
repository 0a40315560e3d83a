#include "participant/postgresql/guard.h"

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
      counters_(counters) {}

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
  if (!std::exchange(reported_, true)) {
    LogEvent(Level::kWarning, "waiting for the database")
        .Field("resource", owner_.resource)
        .Field("error", status.message());
  }
  After(kReconnect, &Guard::Connect);
}

namespace {
Statement EndOthersSql(const Owner& owner) {
  return {
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
      "application_name=$1 AND datname=current_database() AND usename=current_user AND "
      "pid<>pg_backend_pid()",
      {Text(ApplicationName(owner))}};
}
}  // namespace

void Guard::EndOthers() {
  connection_->Run({EndOthersSql(owner_)}, [this, alive = alive_](BatchResult r) {
    if (!*alive || closed_) return;
    if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
    TryLock();
  });
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
    if (!first_ && !own && !std::exchange(reported_, true)) {
      LogEvent(Level::kError, "another process has taken the resource over; stop one")
          .Field("resource", owner_.resource);
    }
    After(first_ || own ? kPoll : kReconnect,
          first_ ? &Guard::EndOthers : &Guard::TryLock);
  });
}

void Guard::EndTheRest() {
  connection_->Run({EndOthersSql(owner_)}, [this, alive = alive_](BatchResult r) {
    if (!*alive || closed_) return;
    if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
    if (PQntuples(r.results[0].get()) > 0) return After(kPoll, &Guard::EndTheRest);
    Held();
  });
}

void Guard::Held() {
  first_ = false;
  reported_ = false;
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
