#include "coordinator/rpc/resource_messenger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/ParticipantService.h"
#include "coordinator/rpc/txn_wire.h"

namespace concordat::rpc {

namespace {

// The most branches in one call; the participant's limit on containers is higher.
constexpr size_t kMaxBatch = 1024;
// The core repeats a message without an answer before this time.
constexpr Duration kDeadline = Duration::Seconds(10);

size_t Slot(txn::Verb verb) { return static_cast<size_t>(verb) - 1; }

// Why a call has returned no list of answers. Empty: it has returned one.
template <class Reply, class Items>
std::string Failure(const CallResult<Reply>& result, const Items& items, size_t wanted) {
  if (!result.ok()) return result.error;
  if (result.reply.result.code != wire::Code::OK) return result.reply.result.message;
  if (items.size() != wanted) return "the participant answered a list of another length";
  return {};
}

}  // namespace

txn::Input Unavailable(txn::Verb verb, const BranchId& branch, std::string_view why) {
  if (verb == txn::Verb::kPrepare) {
    return txn::ReceivedVote{branch, Vote::kUnavailable, std::string(why)};
  }
  return txn::ReceivedAck{branch, FinishState::kRetry, std::string(why)};
}

ResourceMessenger::ResourceMessenger(EventLoop* loop, uint64_t seed,
                                     HandleAnswer handle_answer)
    : loop_(loop), handle_answer_(std::move(handle_answer)), next_seed_(seed) {}

void ResourceMessenger::SetAddress(const std::string& resource,
                                   const std::string& address) {
  const std::string before = std::exchange(resources_[resource].address, address);
  if (!before.empty() && before != address) CloseUnused(before);
  if (address.empty()) {
    Forget(resource);
    return;
  }
  if (channels_.contains(address)) return;
  auto parsed = Address::Parse(address);
  if (!parsed.ok()) return;  // messages to it are undeliverable
  ChannelOptions options;
  options.seed = next_seed_++;
  // When the network works again, the participant must be reached within a second.
  options.connect_timeout = Duration::Millis(500);
  options.reconnect_max = Duration::Millis(200);
  options.unacknowledged_timeout = Duration::Seconds(1);
  channels_[address] = std::make_unique<Channel>(loop_, *parsed, Limits{}, options);
}

// If messages are pending, SendAll will drop the resource.
void ResourceMessenger::Forget(const std::string& resource) {
  const auto found = resources_.find(resource);
  const bool waits = std::find(with_pending_.begin(), with_pending_.end(), resource) !=
                     with_pending_.end();
  if (found != resources_.end() && found->second.address.empty() && !waits) {
    resources_.erase(found);
  }
}

void ResourceMessenger::CloseUnused(const std::string& address) {
  for (const auto& [name, resource] : resources_) {
    if (resource.address == address) return;
  }
  const auto found = channels_.find(address);
  if (found == channels_.end()) return;
  // The channel is destroyed later, because this may run in the callback of one of its
  // calls. Calls under way end as lost, and the core repeats them at the new address.
  loop_->Post([channel = std::move(found->second)] {});
  channels_.erase(found);
}

void ResourceMessenger::Send(const txn::Message& message) {
  Resource& resource = resources_[message.branch.resource];
  bool is_first = true;
  for (const std::vector<BranchId>& pending : resource.pending) {
    is_first = is_first && pending.empty();
  }
  if (is_first) with_pending_.push_back(message.branch.resource);
  resource.pending[Slot(message.verb)].push_back(message.branch);
  if (deferred_) return;
  deferred_ = true;
  loop_->Defer(lifetime_.IfAlive([this] { SendAll(); }));
}

void ResourceMessenger::SendAll() {
  deferred_ = false;
  for (const std::string& name : std::exchange(with_pending_, {})) {
    Resource& resource = resources_[name];
    const std::string address = resource.address;
    std::array<std::vector<BranchId>, 3> pending = std::exchange(resource.pending, {});
    Forget(name);
    SendPending(address, std::move(pending));
  }
}

void ResourceMessenger::SendPending(const std::string& address,
                                    std::array<std::vector<BranchId>, 3> pending) {
  const auto channel = channels_.find(address);
  for (const txn::Verb verb :
       {txn::Verb::kPrepare, txn::Verb::kCommit, txn::Verb::kRollback}) {
    const std::vector<BranchId>& all = pending[Slot(verb)];
    if (channel == channels_.end()) {
      Fail(verb, all,
           "no participant has registered this resource, or its address is bad");
      continue;
    }
    for (size_t begin = 0; begin < all.size(); begin += kMaxBatch) {
      const auto from = all.begin() + static_cast<ptrdiff_t>(begin);
      const auto to =
          from + static_cast<ptrdiff_t>(std::min(kMaxBatch, all.size() - begin));
      SendBatch(channel->second.get(), verb, std::vector<BranchId>(from, to));
    }
  }
}

void ResourceMessenger::Fail(txn::Verb verb, const std::vector<BranchId>& batch,
                             std::string_view why) {
  for (const BranchId& branch : batch) handle_answer_(Unavailable(verb, branch, why));
}

void ResourceMessenger::SendBatch(Channel* channel, txn::Verb verb,
                                  std::vector<BranchId> batch) {
  const wire::BranchList list = MakeBranchList(cluster_, batch);
  if (verb == txn::Verb::kPrepare) {
    channel->Call<wire::ParticipantService_prepare_pargs,
                  wire::ParticipantService_prepare_presult, wire::PrepareReply>(
        "prepare", list, kDeadline,
        lifetime_.IfAlive([this, batch = std::move(batch)](
                              CallResult<wire::PrepareReply> result) {
          const auto& votes = result.reply.votes;
          const std::string failure = Failure(result, votes, batch.size());
          if (!failure.empty()) return Fail(txn::Verb::kPrepare, batch, failure);
          for (size_t i = 0; i < batch.size(); ++i) {
            handle_answer_(txn::ReceivedVote{batch[i], FromWire(votes[i].vote),
                                             std::move(result.reply.votes[i].detail)});
          }
        }));
    return;
  }
  auto on_finished = lifetime_.IfAlive(
      [this, verb, batch = std::move(batch)](CallResult<wire::FinishReply> result) {
        const auto& items = result.reply.items;
        const std::string failure = Failure(result, items, batch.size());
        if (!failure.empty()) return Fail(verb, batch, failure);
        for (size_t i = 0; i < batch.size(); ++i) {
          handle_answer_(txn::ReceivedAck{batch[i], FromWire(items[i].state),
                                          std::move(result.reply.items[i].detail)});
        }
      });
  if (verb == txn::Verb::kCommit) {
    channel->Call<wire::ParticipantService_commit_pargs,
                  wire::ParticipantService_commit_presult, wire::FinishReply>(
        "commit", list, kDeadline, std::move(on_finished));
  } else {
    channel->Call<wire::ParticipantService_rollback_pargs,
                  wire::ParticipantService_rollback_presult, wire::FinishReply>(
        "rollback", list, kDeadline, std::move(on_finished));
  }
}

}  // namespace concordat::rpc
