// How a client reaches a coordinator node or a participant: the generated service
// interface itself. Over sockets it is one of these proxies; in a process that embeds
// the coordinator it is the handler, called directly.
//
// A proxy answers every call exactly once, on its loop. When no answer came, the
// reply's result is UNKNOWN if the server may have acted. If it surely never saw the
// call it is UNAVAILABLE from a participant, and NOT_LEADER, without a hint, from a
// coordinator node: another one must be asked. A request over a limit
// (thrift/rpc/limits.h) is not sent: INVALID, with its size and the limit.
#ifndef COORDINATOR_CLIENT_LINK_H_
#define COORDINATOR_CLIENT_LINK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "concordat_wire/CoordinatorService.h"
#include "concordat_wire/ParticipantService.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

using CoordinatorLink = wire::CoordinatorServiceCobSvIf;
using ParticipantLink = wire::ParticipantServiceCobSvIf;

// Where links come from. Loop thread only.
class LinkProvider {
 public:
  virtual ~LinkProvider() = default;
  // Null when the address cannot be one. Valid for as long as the provider.
  virtual CoordinatorLink* Coordinator(const std::string& address) = 0;
  virtual ParticipantLink* Participant(const std::string& address) = 0;
};

// Links over sockets: one connection for each address, made when it is first needed.
class ChannelLinkProvider : public LinkProvider {
 public:
  // No call waits longer than `call_timeout` for its answer.
  ChannelLinkProvider(rpc::EventLoop* loop, Duration call_timeout, uint64_t seed);
  ~ChannelLinkProvider() override;

  CoordinatorLink* Coordinator(const std::string& address) override;
  ParticipantLink* Participant(const std::string& address) override;

 private:
  [[nodiscard]] rpc::Channel* ChannelTo(const std::string& address);

  rpc::EventLoop* const loop_;
  const Duration call_timeout_;
  uint64_t next_seed_;
  std::map<std::string, std::unique_ptr<rpc::Channel>> channels_;
  std::map<std::string, std::unique_ptr<CoordinatorLink>> coordinators_;
  std::map<std::string, std::unique_ptr<ParticipantLink>> participants_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_LINK_H_
