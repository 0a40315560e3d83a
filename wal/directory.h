// The files of a log's directory.
//
//   LOCK                held by the process that has the log open
//   IDENTITY            text: format version, owner, the log's id, a checksum
//   IDENTITY.new        the same while it is being made
//   segment-0000000007  a segment; its number is its generation, and never comes again
//   spare-0000000003    a file of a segment's size that waits to become one
#ifndef WAL_DIRECTORY_H_
#define WAL_DIRECTORY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"

namespace concordat::wal {

struct Listing {
  std::vector<uint32_t> segments;  // ascending
  std::vector<uint32_t> spares;    // ascending
  bool identity = false;
  bool identity_new = false;
  std::vector<std::string> foreign;
};
[[nodiscard]] absl::StatusOr<Listing> ListLog(FileEnv* env, const std::string& dir);

[[nodiscard]] std::string LockPath(const std::string& dir);
[[nodiscard]] std::string IdentityPath(const std::string& dir);
[[nodiscard]] std::string NewIdentityPath(const std::string& dir);
[[nodiscard]] std::string SegmentPath(const std::string& dir, uint32_t generation);
[[nodiscard]] std::string SparePath(const std::string& dir, uint32_t number);

struct LogIdentity {
  std::string owner;
  uint64_t log_id = 0;
};
// As it is written and shown: 16 hexadecimal digits.
[[nodiscard]] std::string LogIdText(uint64_t log_id);
// Durable when it returns OK.
[[nodiscard]] absl::Status WriteIdentity(FileEnv* env, const std::string& dir,
                                         const LogIdentity& identity);
// DATA_LOSS when the file is damaged, FAILED_PRECONDITION for another format version.
[[nodiscard]] absl::StatusOr<LogIdentity> ReadIdentity(FileEnv* env,
                                                       const std::string& dir);

// 1 to 64 printable characters without spaces.
[[nodiscard]] bool IsValidOwner(std::string_view owner);

}  // namespace concordat::wal

#endif  // WAL_DIRECTORY_H_
