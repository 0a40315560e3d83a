// How a client calls a coordinator node or a participant: by the generated service
// interface. Over sockets it is implemented by a proxy; in a process that embeds the
// coordinator it is the handler itself.
//
// A proxy answers every call exactly once, on its loop. When no answer arrives, the
// result in the reply is UNKNOWN if the server may have acted. If the server surely never
// got the call, the result is UNAVAILABLE for a participant; for a coordinator node it is
// NOT_LEADER without a hint, so that another node is asked. A request over a limit
// (thrift/rpc/limits.h) is not sent; the result is INVALID, with the size and the limit
// in its message.
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

// Makes links. For the loop's thread.
class LinkProvider {
 public:
  virtual ~LinkProvider() = default;
  // Null: the address is malformed. The link is valid as long as the provider exists.
  virtual CoordinatorLink* Coordinator(const std::string& address) = 0;
  virtual ParticipantLink* Participant(const std::string& address) = 0;
};

// Links over sockets. Each address has one connection, which is made on first use.
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
  const Duration call_timeout_;  // of each call, unless it has a deadline of its own
  uint64_t next_seed_;           // for the back-off of the next channel
  // All by address.
  std::map<std::string, std::unique_ptr<rpc::Channel>> channels_;
  std::map<std::string, std::unique_ptr<CoordinatorLink>> coordinators_;
  std::map<std::string, std::unique_ptr<ParticipantLink>> participants_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_LINK_H_
