// Prints a log for people: segments, batches, records, and where it is damaged.
// Read-only: takes no lock, changes nothing, and goes on behind damage as far as
// that is possible, so it can look at the log of a process that does not start.
//
//   Dump(PosixFileEnv(), "/var/lib/x/wal", {}, std::cout);
#ifndef WAL_DUMP_H_
#define WAL_DUMP_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "coordinator/base/file_env.h"
#include "wal/log.h"

namespace concordat::wal {

struct DumpOptions {
  // Only records in [from, to].
  Lsn from = Lsn(0);
  Lsn to = Lsn(UINT64_MAX);
  // Segments and damage only.
  bool records = true;
  // Bytes of a payload printed in hexadecimal when there is no formatter.
  size_t hex_bytes = 32;
  // What to print for a record, on one line, when the log's owner begins with
  // `format_owner`; others are printed in hexadecimal. Optional.
  std::string format_owner;
  std::function<std::string(Lsn lsn, uint8_t type, std::string_view payload)> format;
};

// OK: the log is whole (a torn tail that nobody was promised is no damage). DATA_LOSS:
// it is damaged; the output says where. FAILED_PRECONDITION: not a log, or one of
// another format version. Others: a file could not be read. While another process
// writes the log, its newest records may look torn.
[[nodiscard]] absl::Status Dump(FileEnv* env, const std::string& dir,
                                const DumpOptions& options, std::ostream& out);

}  // namespace concordat::wal

#endif  // WAL_DUMP_H_
