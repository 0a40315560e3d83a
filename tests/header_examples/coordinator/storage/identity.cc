#include "coordinator/storage/identity.h"

#include "wal/log.h"

namespace concordat::storage {

void IdentityExample(FileEnv* env, const std::string& dir, const NodeIdentity& identity,
                     wal::LogOptions log_options, const wal::ReadCallback& replay,
                     bool fresh) {
  // EXAMPLE
}

}  // namespace concordat::storage
