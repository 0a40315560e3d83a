#include "coordinator/client/coordinators.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

// The pause between two attempts at nodes that could not answer. An election takes some
// tenths of a second, and the first commit after it should not wait much longer.
constexpr Duration kPause = Duration::Millis(10);
// The pause grows to this while no node leads, so that many callers do not add load.
constexpr Duration kLongestPause = Duration::Millis(100);

Answer AnswerOf(const wire::Result& result, const std::string& asked) {
  switch (result.code) {
    case wire::Code::OK:
    case wire::Code::TOO_LATE:
      return Answer::kFinal;
    case wire::Code::FORGOTTEN:
      return Answer::kForgotten;
    case wire::Code::NOT_FOUND:
      return Answer::kNotFound;
    case wire::Code::NOT_LEADER:
      return Answer::kNotLeader;
    case wire::Code::NOT_READY:
      return Answer::kNotReady;
    case wire::Code::UNDECIDED:
      return Answer::kUndecided;
    case wire::Code::INVALID:
      return Answer::kRefused;
    case wire::Code::OVERLOADED:
    case wire::Code::VERSION:
      return result.leader_hint == asked ? Answer::kRefused : Answer::kRefusedByOther;
    default:
      return Answer::kNoAnswer;  // also for codes of a newer version
  }
}

}  // namespace

struct Coordinators::Pending {
  Timestamp give_up;
  Attempt attempt;
  Done done;
  RequestFate fate;
  Duration pause = kPause;
  bool hurried = false;  // the last attempt has followed a hint without a pause

  // If two nodes each name the other as the leader, there is a pause between attempts.
  Duration NextPause(bool followed_hint) {
    hurried = followed_hint && !hurried;
    if (hurried) return Duration();
    return std::exchange(pause, std::min(pause * 2, kLongestPause));
  }
};

Coordinators::Coordinators(rpc::EventLoop* loop, LinkProvider* links,
                           std::vector<std::string> addresses)
    : loop_(loop), links_(links), addresses_(std::move(addresses)) {
  CONCORDAT_CHECK(!addresses_.empty()) << "a client needs a coordinator's address";
}

void Coordinators::Call(Duration time_limit, Attempt attempt, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->give_up = loop_->Now() + time_limit;
  pending->attempt = std::move(attempt);
  pending->done = std::move(done);
  Try(pending);
}

void Coordinators::Try(const std::shared_ptr<Pending>& pending) {
  const std::string asked = addresses_[current_];
  CoordinatorLink* link = links_->Coordinator(asked);
  if (link == nullptr) {
    wire::Result result;
    result.code = wire::Code::NOT_LEADER;
    result.__set_message("'" + asked + "' is no address");
    return OnResult(pending, asked, result);
  }
  pending->attempt(link,
                   lifetime_.IfAlive([this, pending, asked](const wire::Result& result) {
                     OnResult(pending, asked, result);
                   }));
}

void Coordinators::OnResult(const std::shared_ptr<Pending>& pending,
                            const std::string& asked, const wire::Result& result) {
  const NextStep step = pending->fate.Hear(AnswerOf(result, asked));
  if (result.code == wire::Code::OK) NoteAnswer(asked);
  const bool likely = MoveOn(asked, result, step);
  if (step == NextStep::kStop || loop_->Now() >= pending->give_up) {
    return pending->done(result, pending->fate.verdict());
  }
  loop_->RunAfter(pending->NextPause(likely),
                  lifetime_.IfAlive([this, pending] { Try(pending); }));
}

bool Coordinators::MoveOn(const std::string& asked, const wire::Result& result,
                          NextStep step) {
  // Another call has chosen another node already.
  if (addresses_[current_] != asked) return true;
  const bool elsewhere = !result.leader_hint.empty() && result.leader_hint != asked;
  if (step == NextStep::kStop || (step == NextStep::kAskSame && !elsewhere)) return false;
  if (elsewhere) {
    Follow(result.leader_hint);
    return true;
  }
  current_ = (current_ + 1) % addresses_.size();
  return false;
}

void Coordinators::NoteAnswer(const std::string& node) {
  if (!last_answered_.empty() && last_answered_ != node) ++leader_changes_;
  last_answered_ = node;
}

void Coordinators::Follow(const std::string& leader) {
  const auto known = std::find(addresses_.begin(), addresses_.end(), leader);
  current_ = static_cast<size_t>(known - addresses_.begin());
  if (known == addresses_.end()) addresses_.push_back(leader);
}

void Coordinators::Hello(
    Duration time_limit,
    std::function<void(const wire::HelloReply&, const wire::Result&)> done) {
  auto reply = std::make_shared<wire::HelloReply>();
  Call(
      time_limit,
      [reply](CoordinatorLink* link, std::function<void(const wire::Result&)> answered) {
        link->hello(
            [reply, answered = std::move(answered)](const wire::HelloReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            MakeContext());
      },
      [this, reply, done = std::move(done)](const wire::Result& result, Verdict) {
        if (result.code == wire::Code::OK && !reply->leader.empty()) {
          Follow(reply->leader);
        }
        done(*reply, result);
      });
}

}  // namespace concordat::client
