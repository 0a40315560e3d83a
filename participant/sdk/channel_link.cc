#include "participant/sdk/channel_link.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/CoordinatorService.h"

namespace concordat::participant {
namespace {

constexpr char kOtherServer[] =
    "answers, but is not a coordinator's client port (in --members it is the address "
    "after "
    "the slash): ";

}  // namespace

template <class Reply>
struct ChannelLink::Attempt {
  std::function<void(rpc::Channel*, rpc::CallCallback<Reply>)> send;
  Done<Reply> done;
  size_t tries_left = 0;
  std::string address;  // of the node that is being tried
  std::string errors;
};

absl::StatusOr<std::unique_ptr<ChannelLink>> ChannelLink::Create(
    rpc::EventLoop* loop, const std::vector<std::string>& addresses,
    ChannelLinkOptions options) {
  if (addresses.empty()) {
    return absl::InvalidArgumentError("no address of a coordinator was given");
  }
  for (const std::string& address : addresses) {
    const absl::StatusOr<rpc::Address> parsed = rpc::Address::Parse(address);
    if (!parsed.ok()) return parsed.status();
  }
  return std::unique_ptr<ChannelLink>(new ChannelLink(loop, addresses, options));
}

ChannelLink::ChannelLink(rpc::EventLoop* loop, std::vector<std::string> addresses,
                         ChannelLinkOptions options)
    : loop_(loop),
      options_(options),
      random_(options.seed),
      nodes_(std::move(addresses)) {}

rpc::Channel* ChannelLink::ChannelTo(const std::string& address) {
  std::unique_ptr<rpc::Channel>& channel = channels_[address];
  if (channel == nullptr) {
    rpc::ChannelOptions options;
    options.seed = random_.Next();
    // After a network failure the coordinators should be reached again within a second.
    options.connect_timeout = Duration::Millis(500);
    options.reconnect_max = Duration::Millis(200);
    options.unacknowledged_timeout = Duration::Seconds(1);
    channel = std::make_unique<rpc::Channel>(loop_, *rpc::Address::Parse(address),
                                             options_.limits, options);
  }
  return channel.get();
}

template <class Reply>
void ChannelLink::Try(std::shared_ptr<Attempt<Reply>> attempt) {
  --attempt->tries_left;
  attempt->address = nodes_.current();
  Attempt<Reply>* raw = attempt.get();
  raw->send(ChannelTo(raw->address),
            lifetime_.IfAlive([this, attempt = std::move(attempt)](
                                  rpc::CallResult<Reply> result) mutable {
              OnResult(std::move(attempt), std::move(result));
            }));
}

template <class Reply>
void ChannelLink::OnResult(std::shared_ptr<Attempt<Reply>> attempt,
                           rpc::CallResult<Reply> result) {
  const bool ok = result.ok() && result.reply.result.code == wire::Code::OK;
  if (ok) {
    if constexpr (std::is_same_v<Reply, wire::HelloReply> ||
                  std::is_same_v<Reply, wire::RegisterReply>) {
      Learn(result.reply.nodes);
    }
    return attempt->done(std::move(result.reply));
  }
  const wire::Result& said = result.reply.result;
  absl::StrAppend(&attempt->errors, attempt->errors.empty() ? "" : "; ", attempt->address,
                  ": ", result.is_other_server() ? kOtherServer : "",
                  result.ok() ? said.message : result.error);
  // Another node would give the same answer.
  if (result.ok() && said.code == wire::Code::INVALID) {
    return attempt->done(absl::InvalidArgumentError(said.message));
  }
  const bool hinted = rpc::Address::Parse(said.leader_hint).ok();
  nodes_.MoveOn(attempt->address, hinted ? said.leader_hint : "");
  if (attempt->tries_left > 0) return Try(std::move(attempt));
  attempt->done(absl::UnavailableError(
      absl::StrCat("no coordinator answered as the leader: ", attempt->errors)));
}

// Those of the cluster's nodes that are not known yet are asked too from here on.
void ChannelLink::Learn(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) {
    if (rpc::Address::Parse(node).ok()) nodes_.Add(node);
  }
}

void ChannelLink::Hello(const wire::CallContext& context, Done<wire::HelloReply> done) {
  auto attempt = std::make_shared<Attempt<wire::HelloReply>>();
  attempt->send = [this, context](rpc::Channel* channel,
                                  rpc::CallCallback<wire::HelloReply> callback) {
    channel->Call<wire::CoordinatorService_hello_pargs,
                  wire::CoordinatorService_hello_presult, wire::HelloReply>(
        "hello", context, options_.call_deadline, std::move(callback));
  };
  attempt->done = std::move(done);
  attempt->tries_left = nodes_.size();
  Try(std::move(attempt));
}

// One attempt at each node, and one more for a hint that was made invalid by an election.
void ChannelLink::Register(const wire::RegisterRequest& request,
                           Done<wire::RegisterReply> done) {
  auto attempt = std::make_shared<Attempt<wire::RegisterReply>>();
  attempt->send = [this, request](rpc::Channel* channel,
                                  rpc::CallCallback<wire::RegisterReply> callback) {
    channel
        ->Call<wire::CoordinatorService_registerResources_pargs,
               wire::CoordinatorService_registerResources_presult, wire::RegisterReply>(
            "registerResources", request, options_.call_deadline, std::move(callback));
  };
  attempt->done = std::move(done);
  attempt->tries_left = nodes_.size() + 1;
  Try(std::move(attempt));
}

void ChannelLink::Inquire(const wire::InquiryRequest& request,
                          Done<wire::InquiryReply> done) {
  auto attempt = std::make_shared<Attempt<wire::InquiryReply>>();
  attempt->send = [this, request](rpc::Channel* channel,
                                  rpc::CallCallback<wire::InquiryReply> callback) {
    channel->Call<wire::CoordinatorService_inquire_pargs,
                  wire::CoordinatorService_inquire_presult, wire::InquiryReply>(
        "inquire", request, options_.call_deadline, std::move(callback));
  };
  attempt->done = std::move(done);
  attempt->tries_left = nodes_.size() + 1;
  Try(std::move(attempt));
}

}  // namespace concordat::participant
