#include "participant/sdk/participant.h"

#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/channel_link.h"
#include "thrift/rpc/server.h"

namespace concordat::participant {

void ParticipantExample(rpc::EventLoop* loop) {
  // EXAMPLE
}

}  // namespace concordat::participant
