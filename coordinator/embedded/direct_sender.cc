#include "coordinator/embedded/direct_sender.h"

#include <utility>

#include "coordinator/rpc/txn_wire.h"

namespace concordat::embedded {

DirectSender::DirectSender(rpc::EventLoop* loop,
                           wire::ParticipantServiceCobSvIf* participant,
                           rpc::HandleAnswer handle_answer)
    : loop_(loop), participant_(participant), handle_answer_(std::move(handle_answer)) {}

void DirectSender::Send(const txn::Message& message) {
  pending_[static_cast<size_t>(message.verb) - 1].push_back(message.branch);
  if (deferred_) return;
  deferred_ = true;
  loop_->Defer(lifetime_.IfAlive([this] { SendAll(); }));
}

void DirectSender::SendAll() {
  deferred_ = false;
  for (const txn::Verb verb :
       {txn::Verb::kPrepare, txn::Verb::kCommit, txn::Verb::kRollback}) {
    auto batch = std::exchange(pending_[static_cast<size_t>(verb) - 1], {});
    if (!batch.empty()) SendBatch(verb, std::move(batch));
  }
}

void DirectSender::SendBatch(txn::Verb verb, std::vector<BranchId> batch) {
  const wire::BranchList list = rpc::MakeBranchList(cluster_, batch);
  if (verb == txn::Verb::kPrepare) {
    auto on_votes = lifetime_.IfAlive([this, batch = std::move(batch)](
                                          const wire::PrepareReply& reply) {
      const bool whole = reply.votes.size() == batch.size();
      for (size_t i = 0; i < batch.size(); ++i) {
        handle_answer_(whole ? txn::ReceivedVote{batch[i], FromWire(reply.votes[i].vote),
                                                 reply.votes[i].detail}
                             : rpc::Unavailable(txn::Verb::kPrepare, batch[i],
                                                reply.result.message));
      }
    });
    return participant_->prepare(std::move(on_votes), list);
  }
  auto on_finished = lifetime_.IfAlive([this, verb, batch = std::move(batch)](
                                           const wire::FinishReply& reply) {
    const bool whole = reply.items.size() == batch.size();
    for (size_t i = 0; i < batch.size(); ++i) {
      handle_answer_(whole ? txn::ReceivedAck{batch[i], FromWire(reply.items[i].state),
                                              reply.items[i].detail}
                           : rpc::Unavailable(verb, batch[i], reply.result.message));
    }
  });
  if (verb == txn::Verb::kCommit) {
    participant_->commit(std::move(on_finished), list);
  } else {
    participant_->rollback(std::move(on_finished), list);
  }
}

}  // namespace concordat::embedded
