#include "coordinator/client/coordinators.h"

#include <utility>

#include "thrift/wire/conversion.h"

namespace concordat::client {

namespace {

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
  LeaderSearchPauses pauses;
};

Coordinators::Coordinators(rpc::EventLoop* loop, LinkProvider* links,
                           std::vector<std::string> addresses)
    : loop_(loop), links_(links), nodes_(std::move(addresses)) {}

void Coordinators::Call(Duration time_limit, Attempt attempt, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->give_up = loop_->Now() + time_limit;
  pending->attempt = std::move(attempt);
  pending->done = std::move(done);
  Try(pending);
}

void Coordinators::Try(const std::shared_ptr<Pending>& pending) {
  const std::string asked = nodes_.current();
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
  bool likely = false;
  if (step == NextStep::kAskSame) likely = nodes_.Follow(asked, result.leader_hint);
  if (step == NextStep::kAskOther) likely = nodes_.MoveOn(asked, result.leader_hint);
  if (step == NextStep::kStop || loop_->Now() >= pending->give_up) {
    return pending->done(result, pending->fate.verdict());
  }
  loop_->RunAfter(pending->pauses.Next(likely),
                  lifetime_.IfAlive([this, pending] { Try(pending); }));
}

void Coordinators::Learn(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) {
    if (links_->Coordinator(node) != nullptr) nodes_.Add(node);
  }
}

void Coordinators::NoteAnswer(const std::string& node) {
  if (!last_answered_.empty() && last_answered_ != node) ++leader_changes_;
  last_answered_ = node;
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
          nodes_.Choose(reply->leader);
        }
        done(*reply, result);
      });
}

}  // namespace concordat::client
