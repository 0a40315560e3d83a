#include "tests/simulation/coordinator_calls.h"

#include <utility>

namespace concordat::simulation {

namespace {

constexpr Duration kCallTimeout = Duration::Millis(500);

// Says nothing about the transaction: ask on.
bool IsFinal(Code code) {
  return code == Code::kOk || code == Code::kForgotten || code == Code::kNotFound ||
         code == Code::kInvalid || code == Code::kBranchGone;
}

}  // namespace

ProcessId CoordinatorCalls::SomeNode() {
  return directory_->node_list[random_.Below(directory_->node_list.size())];
}

void CoordinatorCalls::Ask(ProcessId node, Payload request, Timestamp give_up_at,
                           Judged judged, std::function<void()> gave_up, int attempt) {
  Payload sent = request;
  auto on_reply = [this, node, request = std::move(request), give_up_at, judged, gave_up,
                   attempt](const Payload* reply) mutable {
    if (reply != nullptr && judged(reply)) {
      believed_leader_ = node;
      return;
    }
    if (world_->now() >= give_up_at) {
      gave_up();
      return;
    }
    if (attempt > 0 && std::holds_alternative<CommitCall>(request)) {
      world_->rare().Add(Rare::kRetryAtOtherNode);
    }
    const Duration pause = Duration::Micros(random_.Between(500, 20'000));
    world_->After(
        process_, pause,
        [this, request = std::move(request), give_up_at, judged = std::move(judged),
         gave_up = std::move(gave_up), attempt]() mutable {
          Ask(SomeNode(), std::move(request), give_up_at, std::move(judged),
              std::move(gave_up), attempt + 1);
        });
  };
  caller_->Call(node, std::move(sent), kCallTimeout, std::move(on_reply));
}

void CoordinatorCalls::Outcome(Payload request, Timestamp give_up_at,
                               std::function<void(const OutcomeReply&)> done,
                               ProcessId first) {
  if (first.is_none()) first = believed_leader_.is_none() ? SomeNode() : believed_leader_;
  Ask(
      first, std::move(request), give_up_at,
      [done](const Payload* reply) {
        const auto* outcome = ReplyAs<OutcomeReply>(reply);
        if (outcome == nullptr || !IsFinal(outcome->code)) return false;
        done(*outcome);
        return true;
      },
      [done] { done(OutcomeReply{Code::kUnknown}); }, 0);
}

void CoordinatorCalls::Enlist(const BranchId& branch, Timestamp give_up_at,
                              std::function<void(Code)> done) {
  Ask(
      believed_leader_.is_none() ? SomeNode() : believed_leader_, EnlistCall{branch},
      give_up_at,
      [done](const Payload* reply) {
        const auto* enlisted = ReplyAs<EnlistReply>(reply);
        if (enlisted == nullptr || !IsFinal(enlisted->code)) return false;
        done(enlisted->code);
        return true;
      },
      [done] { done(Code::kUnknown); }, 0);
}

void CoordinatorCalls::Begin(uint32_t count, Timestamp give_up_at,
                             std::function<void(const BeginReply&)> done) {
  Ask(
      believed_leader_.is_none() ? SomeNode() : believed_leader_, BeginCall{count},
      give_up_at,
      [done](const Payload* reply) {
        const auto* begun = ReplyAs<BeginReply>(reply);
        if (begun == nullptr || begun->code != Code::kOk) return false;
        done(*begun);
        return true;
      },
      [done] { done(BeginReply{}); }, 0);
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
