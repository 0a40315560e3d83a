#include "tests/simulation/coordinator_calls.h"

#include <utility>

namespace concordat::simulation {

namespace {

constexpr Duration kCallTimeout = Duration::Millis(500);

client::Answer AnswerOf(Code code, bool leads) {
  switch (code) {
    case Code::kOk:
    case Code::kBranchGone:
      return client::Answer::kFinal;
    case Code::kForgotten:
      return client::Answer::kForgotten;
    case Code::kNotFound:
      return client::Answer::kNotFound;
    case Code::kNotLeader:
      return client::Answer::kNotLeader;
    case Code::kNotReady:
      return client::Answer::kNotReady;
    case Code::kUndecided:
      return client::Answer::kUndecided;
    case Code::kInvalid:
      return client::Answer::kRefused;
    case Code::kOverloaded:
    case Code::kVersion:
      return leads ? client::Answer::kRefused : client::Answer::kRefusedByOther;
    default:
      return client::Answer::kNoAnswer;
  }
}

}  // namespace

ProcessId CoordinatorCalls::SomeNode() {
  return directory_->node_list[random_.Below(directory_->node_list.size())];
}

void CoordinatorCalls::Start(Question question) {
  Ask(std::make_shared<Question>(std::move(question)),
      believed_leader_.is_none() ? SomeNode() : believed_leader_);
}

void CoordinatorCalls::Ask(const std::shared_ptr<Question>& question, ProcessId node) {
  ++question->attempts;
  caller_->Call(
      node, question->request, kCallTimeout,
      [this, question, node](const Payload* reply) { OnReply(question, node, reply); });
}

void CoordinatorCalls::OnReply(const std::shared_ptr<Question>& question, ProcessId node,
                               const Payload* reply) {
  const bool had_begun = question->fate.may_have_begun();
  const client::Answer answer = question->read(reply);
  const client::NextStep step = question->fate.Hear(answer);
  if (step == client::NextStep::kStop || world_->now() >= question->deadline) {
    if (question->fate.verdict() == client::Verdict::kAnswered) believed_leader_ = node;
    question->done(reply, question->fate.verdict());
    return;
  }
  if (had_begun && answer == client::Answer::kRefused) {
    world_->rare().Add(Rare::kRefusedAfterBegun);
  }
  if (question->attempts > 1 && std::holds_alternative<CommitCall>(question->request)) {
    world_->rare().Add(Rare::kRetryAtOtherNode);
  }
  world_->After(process_, Duration::Micros(random_.Between(500, 20'000)),
                [this, question, node, step] {
                  const bool same = step == client::NextStep::kAskSame;
                  Ask(question, same ? node : SomeNode());
                });
}

void CoordinatorCalls::Outcome(Payload request, Timestamp deadline, OutcomeDone done,
                               client::RequestFate fate) {
  Start({std::move(request), deadline,
         [](const Payload* reply) {
           const auto* outcome = ReplyAs<OutcomeReply>(reply);
           return outcome == nullptr ? client::Answer::kNoAnswer
                                     : AnswerOf(outcome->code, outcome->leads);
         },
         [done = std::move(done)](const Payload* reply, client::Verdict verdict) {
           const auto* outcome = ReplyAs<OutcomeReply>(reply);
           done(outcome == nullptr ? OutcomeReply{Code::kUnknown} : *outcome, verdict);
         },
         fate});
}

void CoordinatorCalls::Enlist(const BranchId& branch, Timestamp deadline,
                              std::function<void(Code)> done) {
  Start({EnlistCall{branch}, deadline,
         [](const Payload* reply) {
           const auto* enlisted = ReplyAs<EnlistReply>(reply);
           return enlisted == nullptr ? client::Answer::kNoAnswer
                                      : AnswerOf(enlisted->code, /*leads=*/false);
         },
         [done = std::move(done)](const Payload* reply, client::Verdict verdict) {
           const auto* enlisted = ReplyAs<EnlistReply>(reply);
           const bool known = verdict == client::Verdict::kAnswered;
           done(known && enlisted != nullptr ? enlisted->code : Code::kUnknown);
         },
         client::RequestFate()});
}

// Repeats the call until it gets gtids, because a full disk does not stay full.
void CoordinatorCalls::Begin(uint32_t count, Timestamp deadline,
                             std::function<void(const BeginReply&)> done) {
  Start({BeginCall{count}, deadline,
         [](const Payload* reply) {
           const auto* begun = ReplyAs<BeginReply>(reply);
           return begun != nullptr && begun->code == Code::kOk
                      ? client::Answer::kFinal
                      : client::Answer::kNotLeader;
         },
         [done = std::move(done)](const Payload* reply, client::Verdict) {
           const auto* begun = ReplyAs<BeginReply>(reply);
           done(begun == nullptr ? BeginReply{} : *begun);
         },
         client::RequestFate()});
}

void CoordinatorCalls::SendOnce(Payload request, ProcessId to,
                                std::function<void(const OutcomeReply&)> done) {
  caller_->Call(to, std::move(request), Duration::Seconds(5),
                [done = std::move(done)](const Payload* reply) {
                  const auto* outcome = ReplyAs<OutcomeReply>(reply);
                  if (outcome != nullptr) done(*outcome);
                });
}

}  // namespace concordat::simulation
