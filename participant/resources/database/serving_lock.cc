#include "participant/resources/database/serving_lock.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::database {

namespace {

constexpr Duration kPoll = Duration::Millis(20);
constexpr Duration kReconnect = Duration::Millis(200);
constexpr Duration kReportAgain = Duration::Seconds(60);

}  // namespace

ServingLock::ServingLock(rpc::EventLoop* loop, Dialect* dialect, std::string resource,
                         std::shared_ptr<std::string> holder)
    : loop_(loop),
      dialect_(*dialect),
      resource_(std::move(resource)),
      holder_(std::move(holder)) {}

void ServingLock::After(Duration delay, absl::AnyInvocable<void()> step) {
  loop_->RunAfter(delay, lifetime_.IfAlive([this, step = std::move(step)]() mutable {
    if (!closed_) step();
  }));
}

void ServingLock::Run(std::vector<Statement> batch,
                      absl::AnyInvocable<void(BatchResult)> done) {
  session_->Run(std::move(batch),
                lifetime_.IfAlive([this, done = std::move(done)](BatchResult r) mutable {
                  if (closed_) return;
                  if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
                  done(std::move(r));
                }));
}

void ServingLock::Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done) {
  taken_ = std::move(done);
  give_up_at_ = loop_->Now() + patience;
  Connect();
}

void ServingLock::Connect() {
  locked_ = false;
  session_ = dialect_.NewSession(SessionUse::kServingLock);
  session_->OnBroken(lifetime_.IfAlive([this] {
    if (!closed_ && held()) OnBroken();
  }));
  session_->Connect(lifetime_.IfAlive([this](const absl::Status& status) {
    if (closed_) return;
    if (!status.ok()) return Failed(status);
    if (first_) return EndOthers(/*unprepared=*/false);
    TryLock();
  }));
}

void ServingLock::OnBroken() {
  held_.store(false, std::memory_order_release);
  holder_->assign("none");  // no session has this id, so new connections are refused
  report_at_ = Timestamp();
  SetWhy("the connection to the database was lost");
  LogEvent(Level::kWarning, "the resource's lock was lost with its connection")
      .Field("resource", resource_);
  After(Duration::Millis(1), [this] { Connect(); });
}

// A configuration that is refused now will be refused again, but a server that cannot be
// reached may come back.
void ServingLock::Failed(const absl::Status& status) {
  if (taken_ != nullptr &&
      (!absl::IsUnavailable(status) || loop_->Now() >= give_up_at_)) {
    return std::exchange(taken_, nullptr)(status);
  }
  Report(Level::kWarning, "waiting for the database", std::string(status.message()));
  After(kReconnect, [this] { Connect(); });
}

bool ServingLock::GaveUp() {
  if (taken_ == nullptr || loop_->Now() < give_up_at_) return false;
  std::exchange(taken_, nullptr)(absl::FailedPreconditionError(
      absl::StrCat("another process serves resource ", resource_, " ",
                   std::string(dialect_.rules().out_of_reach), ": stop it first")));
  return true;
}

void ServingLock::Kill(std::string_view id) {
  std::optional<Statement> kill = dialect_.Kill(id);
  if (kill.has_value()) session_->Run({*std::move(kill)}, [](const BatchResult&) {});
}

void ServingLock::EndOthers(bool unprepared) {
  session_->Run(
      {dialect_.OtherSessions(unprepared)},
      lifetime_.IfAlive([this, unprepared](const BatchResult& r) {
        if (closed_) return;
        const StatementResult* failure = r.Failure();
        if (failure != nullptr && !unprepared && dialect_.IsUnprepared(*failure)) {
          return EndOthers(/*unprepared=*/true);
        }
        if (!r.ok()) return Failed(absl::UnavailableError(r.Error()));
        OnOthers(r.results[0]);
      }));
}

void ServingLock::OnOthers(const StatementResult& ids) {
  if (locked_ && ids.rows.empty()) return Held();
  if (locked_ && GaveUp()) return;
  for (size_t row = 0; row < ids.rows.size(); ++row) Kill(ids.Field(row, 0));
  if (locked_) return After(kPoll, [this] { EndOthers(/*unprepared=*/false); });
  TryLock();
}

void ServingLock::TryLock() {
  Run(dialect_.TryLock(first_, before_), [this](const BatchResult& r) { OnLock(r); });
}

void ServingLock::OnLock(const BatchResult& r) {
  const LockAnswer answer = dialect_.LockFrom(r, before_, session_->id());
  if (answer.taken) {
    if (!first_) return Held();
    locked_ = true;
    return EndOthers(/*unprepared=*/false);
  }
  if (GaveUp()) return;
  if (first_) return After(kPoll, [this] { EndOthers(/*unprepared=*/false); });
  if (answer.by_our_old_session) {
    Kill(before_.id);
  } else {
    Report(Level::kError, "another process has taken the resource over",
           "stop one of the two");
  }
  After(answer.by_our_old_session ? kPoll : kReconnect, [this] { TryLock(); });
}

void ServingLock::Held() {
  first_ = false;
  report_at_ = Timestamp();
  SetWhy("");
  before_ = session_->id();
  *holder_ = before_.id;
  held_.store(true, std::memory_order_release);
  std::vector<Statement> more = dialect_.OnLocked();
  if (!more.empty()) session_->Run(std::move(more), [](const BatchResult&) {});
  if (taken_ != nullptr) std::exchange(taken_, nullptr)(absl::OkStatus());
}

void ServingLock::Close() {
  closed_ = true;
  held_.store(false, std::memory_order_release);
  if (session_ != nullptr) session_->Close(kClosing);
  if (taken_ != nullptr) {
    std::exchange(taken_, nullptr)(absl::UnavailableError(kClosing));
  }
}

// --- why it is not held ---

// Logs at once, and then once a minute.
void ServingLock::Report(Level level, const char* event, const std::string& why) {
  if (loop_->Now() >= report_at_) {
    report_at_ = loop_->Now() + kReportAgain;
    LogEvent(level, event).Field("resource", resource_).Field("error", why);
  }
  SetWhy(absl::StrCat(event, ": ", why));
}

std::string ServingLock::why_not_held() const {
  MutexLock lock(&mutex_);
  return why_;
}

void ServingLock::SetWhy(std::string why) {
  MutexLock lock(&mutex_);
  why_ = std::move(why);
}

}  // namespace concordat::participant::database
