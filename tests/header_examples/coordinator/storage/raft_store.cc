#include "coordinator/storage/raft_store.h"

namespace concordat::storage {

absl::Status RaftStoreExample(FileEnv* env, wal::LogOptions log_options,
                              wal::LogWriterOptions writer_options, GroupId group,
                              LogSink& sink, const raft::Output& output) {
  // EXAMPLE
  return absl::OkStatus();
}

}  // namespace concordat::storage
