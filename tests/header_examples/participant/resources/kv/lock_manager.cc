#include "participant/resources/kv/lock_manager.h"

namespace concordat::participant::kv {

void LockManagerExample(LockManager& locks, LockOwner* owner, const std::string& key) {
  // EXAMPLE
}

}  // namespace concordat::participant::kv
