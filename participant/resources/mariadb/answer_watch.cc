#include "participant/resources/mariadb/answer_watch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/resources/mariadb/statements.h"

namespace concordat::participant::mariadb {

namespace {

constexpr Duration kHurry = Duration::Millis(100);
constexpr Duration kSweep = Duration::Seconds(1);
constexpr char kLeftUndone[] =
    "the server has interrupted the call and left the rest of it undone";

}  // namespace

struct AnswerWatch::Look {
  Suspects suspects;
  std::shared_ptr<Connection> asker;
  rpc::TimerId timer;
};

AnswerWatch::AnswerWatch(rpc::EventLoop* loop, ConnectionConfig asker,
                         std::shared_ptr<Connections> watched, Duration answer_time,
                         database::Counters* counters)
    : loop_(loop),
      config_(std::move(asker)),
      watched_(std::move(watched)),
      answer_time_(answer_time),
      interval_(std::clamp(Duration::Micros(answer_time.micros() / 4),
                           Duration::Millis(10), kSweep)),
      counters_(counters) {
  config_.bare = true;
  Schedule();
}

// The connection on which the server is asked calls nobody back after this.
AnswerWatch::~AnswerWatch() {
  loop_->Cancel(timer_);
  if (look_ != nullptr) loop_->Cancel(look_->timer);
}

// --- which connections are silent ---

void AnswerWatch::Schedule() {
  loop_->Cancel(timer_);
  const bool hurried =
      std::any_of(silences_.begin(), silences_.end(),
                  [this](const auto& s) { return Pause(s.second) == kHurry; });
  timer_ = loop_->RunAfter(hurried ? std::min(kHurry, interval_) : interval_,
                           [this] { Sweep(); });
}

void AnswerWatch::Hurry(const SessionId& session) {
  for (Connection* connection : *watched_) {
    if (connection->id().id != session.id || !connection->alive()) continue;
    silences_.erase(connection);
    Note(connection);
    Silence& silence = silences_[connection];
    silence.hurried_until = silence.since + answer_time_;
    silence.look_at = silence.since + Pause(silence);
  }
  Schedule();
}

Duration AnswerWatch::Pause(const Silence& silence) const {
  return loop_->Now() < silence.hurried_until ? kHurry : answer_time_;
}

void AnswerWatch::Note(Connection* connection) {
  Silence& silence = silences_[connection];
  const bool same = silence.session.lock().get() == connection;
  if (same && silence.progress == connection->progress()) return;
  if (!same) silence.hurried_until = Timestamp();
  silence.session = connection->weak_from_this();
  silence.progress = connection->progress();
  silence.since = loop_->Now();
  silence.look_at = silence.since + Pause(silence);
  silence.idle_once = false;
}

void AnswerWatch::ForgetOver() {
  absl::erase_if(silences_,
                 [](const auto& item) { return Waiting(item.second) == nullptr; });
}

void AnswerWatch::Sweep() {
  ForgetOver();
  for (Connection* connection : *watched_) {
    if (connection->waits()) Note(connection);
  }
  Suspects due;
  for (const auto& [connection, silence] : silences_) {
    if (silence.look_at <= loop_->Now()) due.push_back(silence);
  }
  if (!due.empty() && look_ == nullptr) Ask(std::move(due));
  Schedule();
}

// --- asking the server ---

std::shared_ptr<Connection> AnswerWatch::Waiting(const Silence& silence) {
  const auto connection = std::static_pointer_cast<Connection>(silence.session.lock());
  return connection != nullptr && connection->waits() ? connection : nullptr;
}

auto AnswerWatch::Find(const Silence& suspect) -> Silence* {
  const auto connection = Waiting(suspect);
  if (connection == nullptr || connection->progress() != suspect.progress) return nullptr;
  const auto known = silences_.find(connection.get());
  return known == silences_.end() ? nullptr : &known->second;
}

void AnswerWatch::Ask(Suspects suspects) {
  look_ = std::make_unique<Look>();
  look_->suspects = std::move(suspects);
  look_->asker = std::make_shared<Connection>(loop_, config_, &own_counters_);
  look_->asker->Connect([this](const absl::Status& s) { OnAskerConnected(s); });
}

auto AnswerWatch::EndLook() -> Suspects {
  const std::unique_ptr<Look> over = std::move(look_);
  loop_->Cancel(over->timer);
  return std::move(over->suspects);
}

void AnswerWatch::OnAskerConnected(const absl::Status& status) {
  if (!status.ok()) {
    const bool answers = look_->asker->greeted();
    const Suspects suspects = EndLook();
    return answers ? LookLater(suspects) : GiveUpUnreached(suspects, status);
  }
  std::vector<std::string> ids;
  for (const Silence& suspect : look_->suspects) {
    if (const auto session = suspect.session.lock()) ids.push_back(session->id().id);
  }
  if (ids.empty()) return (void)EndLook();
  look_->timer = loop_->RunAfter(config_.connect_timeout, [asker = look_->asker] {
    asker->Close("the question is not answered in time");
  });
  look_->asker->Run({TakeRole(), SessionsAtRest(ids)},
                    [this](const database::BatchResult& r) { OnAnswer(r); });
}

// The server has answered, but its answer says nothing about the sessions.
void AnswerWatch::LookLater(const Suspects& suspects) {
  for (const Silence& suspect : suspects) {
    if (Silence* known = Find(suspect)) known->look_at = loop_->Now() + Pause(*known);
  }
}

void AnswerWatch::GiveUpUnreached(const Suspects& suspects, const absl::Status& status) {
  for (const Silence& suspect : suspects) {
    if (Find(suspect) == nullptr || loop_->Now() < suspect.since + answer_time_) continue;
    suspect.session.lock()->Close(
        absl::StrCat("no answer within ", answer_time_.millis(),
                     " ms, and none to a new connection: ", status.message()));
  }
}

void AnswerWatch::OnAnswer(const database::BatchResult& r) {
  const Suspects suspects = EndLook();
  if (!r.ok()) return LookLater(suspects);
  std::vector<std::shared_ptr<Connection>> undone;
  for (const Silence& suspect : suspects) {
    Silence* const known = Find(suspect);
    if (known == nullptr) continue;
    std::shared_ptr<Connection> connection = Waiting(*known);
    const bool works = Works(r.results[1], connection->id());
    if (!works && known->idle_once) undone.push_back(std::move(connection));
    known->idle_once = !works;
    known->look_at = loop_->Now() + (works ? Pause(*known) : kHurry);
  }
  for (const std::shared_ptr<Connection>& connection : undone) {
    if (!connection->waits()) continue;
    LogEvent(Level::kWarning, kLeftUndone)
        .Field("resource", config_.owner.resource)
        .Field("session", connection->id().id);
    counters_->left_undone.fetch_add(1, std::memory_order_relaxed);
    connection->Close(kLeftUndone);
  }
}

}  // namespace concordat::participant::mariadb
