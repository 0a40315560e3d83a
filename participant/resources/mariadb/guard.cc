#include "participant/resources/mariadb/guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::mariadb {

namespace {

constexpr Duration kPoll = Duration::Millis(20);
constexpr Duration kReconnect = Duration::Millis(200);

}  // namespace

Guard::Guard(rpc::EventLoop* loop, ConnectionConfig config, Owner owner,
             std::shared_ptr<std::string> id, Counters* counters)
    : loop_(loop),
      config_(std::move(config)),
      owner_(std::move(owner)),
      id_(std::move(id)),
      counters_(counters),
      why_(loop, owner_.resource) {}

Guard::~Guard() { *alive_ = false; }

void Guard::After(Duration delay, void (Guard::*step)()) {
  loop_->RunAfter(delay, [this, alive = alive_, step] {
    if (*alive && !closed_) (this->*step)();
  });
}

void Guard::Run(std::vector<Statement> batch,
                absl::AnyInvocable<void(BatchResult)> done) {
  connection_->Run(std::move(batch),
                   [this, alive = alive_, done = std::move(done)](BatchResult r) mutable {
                     if (!*alive || closed_) return;
                     if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
                     done(std::move(r));
                   });
}

void Guard::Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done) {
  taken_ = std::move(done);
  give_up_at_ = loop_->Now() + patience;
  Connect();
}

void Guard::Connect() {
  locked_ = false;
  connection_ = std::make_shared<Connection>(loop_, config_, counters_);
  connection_->OnBroken([this, alive = alive_] {
    if (!*alive || closed_ || !held()) return;
    held_.store(false, std::memory_order_release);
    id_->assign("none");  // nobody's: new connections are refused
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

void Guard::EndOthers() {
  Run({OtherSessions(owner_)}, [this](BatchResult r) { OnOthers(r.results[0]); });
}

// What KILL answers does not matter: it is looked again, until nobody is left.
void Guard::OnOthers(const Result& ids) {
  if (ids.row_count() == 0 && locked_) return Held();
  if (ids.row_count() > 0 && taken_ != nullptr && loop_->Now() >= give_up_at_) {
    return std::exchange(taken_, nullptr)(absl::FailedPreconditionError(
        absl::StrCat("another process serves resource ", owner_.resource,
                     " on this server under another user: stop it first")));
  }
  for (size_t row = 0; row < ids.row_count(); ++row) {
    connection_->Run({KillSession(ids.Field(row, 0))}, [](BatchResult) {});
  }
  if (locked_) return After(kPoll, &Guard::EndOthers);
  TryLock();
}

// The one before reconnects at once, and would have the lock again: so one waits for it.
void Guard::TryLock() {
  const std::string lock = GuardLock(owner_);
  Run({{absl::StrCat("SELECT GET_LOCK('", lock, "',", first_ ? 1 : 0, "),IS_USED_LOCK('",
                     lock, "')")}},
      [this](BatchResult r) { OnLock(r); });
}

void Guard::OnLock(const BatchResult& r) {
  if (r.results[0].Field(0, 0) == "1") {
    if (!first_) return Held();
    locked_ = true;
    return EndOthers();
  }
  if (first_) return After(kPoll, &Guard::EndOthers);
  const bool own = r.results[0].Field(0, 1) == before_.id &&
                   before_.server_start == connection_->backend().server_start;
  if (own) {
    connection_->Run({KillSession(before_.id)}, [](BatchResult) {});
  } else {
    why_.Report(Level::kError, "another process has taken the resource over",
                "stop one of the two");
  }
  After(own ? kPoll : kReconnect, &Guard::TryLock);
}

void Guard::Held() {
  first_ = false;
  why_.Held();
  before_ = connection_->backend();
  *id_ = before_.id;
  held_.store(true, std::memory_order_release);
  connection_->Run({DeleteOldSessions(owner_)}, [](BatchResult) {});
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

}  // namespace concordat::participant::mariadb
