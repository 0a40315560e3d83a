#include "participant/resources/kv/kv_resource_manager.h"

#include "participant/sdk/participant.h"

namespace concordat::participant::kv {

void KvResourceManagerExample(Participant& participant) {
  // EXAMPLE
}

}  // namespace concordat::participant::kv
