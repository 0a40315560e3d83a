// Prints a log for operators: segments, batches, records, and where the log is damaged.
// The dump only reads: it takes no lock and changes nothing. It continues after damage
// as far as possible, so it can show the log of a process that does not start.
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
  // Only records from `from` to `to`, both included, are printed.
  Lsn from = Lsn(0);
  Lsn to = Lsn(UINT64_MAX);
  // False: only segments and damage are printed.
  bool records = true;
  // How many bytes of a payload are printed in hexadecimal when there is no formatter.
  size_t hex_bytes = 32;
  // `format` returns what to print for a record, on one line. It is used when the log's
  // owner begins with `format_owner`; records of other owners are printed in
  // hexadecimal. It may be empty.
  std::string format_owner;
  std::function<std::string(Lsn lsn, uint8_t type, std::string_view payload)> format;
};

// OK: the log is whole. A torn tail that was never promised to anybody is no damage.
// DATA_LOSS: the log is damaged; the output says where. FAILED_PRECONDITION: the
// directory holds no log, or one of another format version. Other errors: a file could
// not be read. While another process writes the log, its newest records may look torn.
[[nodiscard]] absl::Status Dump(FileEnv* env, const std::string& dir,
                                const DumpOptions& options, std::ostream& out);

}  // namespace concordat::wal

#endif  // WAL_DUMP_H_
