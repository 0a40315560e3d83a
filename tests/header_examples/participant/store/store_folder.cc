#include "participant/store/store_folder.h"

#include "wal/log.h"

namespace concordat::participant {

void StoreFolderExample(FileEnv* env, const StoreFolderKind& kKvFolder, ClusterId cluster,
                        wal::LogOptions log_options, const wal::ReadCallback& replay) {
  // EXAMPLE
}

}  // namespace concordat::participant
