#include "participant/sdk/channel_link.h"

namespace concordat::participant {

void ChannelLinkExample(rpc::EventLoop* loop) {
  // EXAMPLE
}

}  // namespace concordat::participant
