// Reaches the coordinators over sockets. It finds the leader (coordinator/base/
// leader_finder.h) and keeps using it.
//
//   auto link = ChannelLink::Create(loop, {"10.0.0.1:7070", "10.0.0.2:7070"}, {});
#ifndef PARTICIPANT_SDK_CHANNEL_LINK_H_
#define PARTICIPANT_SDK_CHANNEL_LINK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/leader_finder.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/base/random.h"
#include "participant/sdk/coordinator_link.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/limits.h"

namespace concordat::participant {

struct ChannelLinkOptions {
  rpc::Limits limits;
  Duration call_deadline = Duration::Seconds(3);
  // Seed of the channels' back-off.
  uint64_t seed = 1;
};

class ChannelLink final : public CoordinatorLink {
 public:
  // INVALID_ARGUMENT: there is no address, or one that cannot be parsed.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ChannelLink>> Create(
      rpc::EventLoop* loop, const std::vector<std::string>& addresses,
      ChannelLinkOptions options);

  void Hello(const wire::CallContext& context, Done<wire::HelloReply> done) override;
  void Register(const wire::RegisterRequest& request,
                Done<wire::RegisterReply> done) override;
  void Inquire(const wire::InquiryRequest& request,
               Done<wire::InquiryReply> done) override;

  // The address of the node that the next call goes to.
  [[nodiscard]] const std::string& current() const { return nodes_.current(); }

 private:
  // One call, tried at one node after another.
  template <class Reply>
  struct Attempt;

  ChannelLink(rpc::EventLoop* loop, std::vector<std::string> addresses,
              ChannelLinkOptions options);
  rpc::Channel* ChannelTo(const std::string& address);
  template <class Reply>
  void Try(std::shared_ptr<Attempt<Reply>> attempt);
  void Learn(const std::vector<std::string>& nodes);
  template <class Reply>
  void OnResult(std::shared_ptr<Attempt<Reply>> attempt, rpc::CallResult<Reply> result);

  rpc::EventLoop* const loop_;
  const ChannelLinkOptions options_;
  Random random_;       // seeds of the channels
  LeaderFinder nodes_;  // by their addresses, which can all be parsed
  // By address; made at the first call.
  std::map<std::string, std::unique_ptr<rpc::Channel>> channels_;
  Lifetime lifetime_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CHANNEL_LINK_H_
