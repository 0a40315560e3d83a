// How a participant reaches the coordinators. ChannelLink (channel_link.h) reaches them
// over sockets; a program that contains a coordinator calls it directly.
#ifndef PARTICIPANT_SDK_COORDINATOR_LINK_H_
#define PARTICIPANT_SDK_COORDINATOR_LINK_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "concordat_wire/coordinator_types.h"

namespace concordat::participant {

// Used only on the participant's loop thread. A callback runs exactly once, on that
// thread, unless the link is destroyed before; it may run before the call returns. It
// gets a reply whose result is OK, from the leader where only a leader may answer;
// otherwise a status that says which nodes were tried and what they answered. After an
// error nothing is known, and the participant calls again after a while.
class CoordinatorLink {
 public:
  template <class Reply>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Reply>)>;

  virtual ~CoordinatorLink() = default;
  // Any node answers.
  virtual void Hello(const wire::CallContext& context, Done<wire::HelloReply> done) = 0;
  virtual void Register(const wire::RegisterRequest& request,
                        Done<wire::RegisterReply> done) = 0;
  virtual void Inquire(const wire::InquiryRequest& request,
                       Done<wire::InquiryReply> done) = 0;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_COORDINATOR_LINK_H_
