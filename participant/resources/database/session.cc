#include "participant/resources/database/session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::database {

Session::~Session() { loop_->Cancel(connect_timer_); }

void Session::Connect(absl::AnyInvocable<void(absl::Status)> done) {
  CONCORDAT_CHECK(state_ == State::kNew) << "connected twice";
  state_ = State::kConnecting;
  connected_ = std::move(done);
  connect_timer_ = loop_->RunAfter(connect_timeout_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->connected_ == nullptr) return;
    self->Break(
        absl::StrCat("no answer within ", self->connect_timeout_.millis(), " ms"));
  });
  BeginConnect();
}

void Session::Connected(absl::Status status) {
  loop_->Cancel(connect_timer_);
  if (!status.ok()) {
    state_ = State::kBroken;
    watch_.reset();
  }
  if (auto done = std::exchange(connected_, nullptr)) done(std::move(status));
}

void Session::Run(std::vector<Statement> batch, BatchDone done,
                  std::shared_ptr<ClientRows> rows) {
  if (state_ == State::kReady) {
    return Send(std::move(batch), std::move(done), std::move(rows));
  }
  BatchResult lost;
  lost.lost = lost.not_sent = true;
  lost.why_lost = "the connection to the database is lost";
  done(std::move(lost));
}

void Session::Close(const std::string& why) {
  const auto self = shared_from_this();
  Break(why);
}

void Session::Break(const std::string& why) {
  if (state_ == State::kBroken) return;
  const bool connecting = state_ == State::kConnecting;
  state_ = State::kBroken;
  loop_->Cancel(connect_timer_);
  watch_.reset();
  std::vector<Owed> owed = Drop();
  if (connecting) return Connected(absl::UnavailableError(why));
  for (Owed& batch : owed) {
    BatchResult lost;
    lost.lost = true;
    lost.why_lost = why;
    lost.row_too_large = batch.row_too_large;
    batch.done(std::move(lost));
  }
  if (auto listener = std::exchange(on_broken_, nullptr)) listener();
}

}  // namespace concordat::participant::database
