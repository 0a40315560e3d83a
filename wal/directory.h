// The files of a log's directory.
//
//   LOCK                held by the process that has the log open
//   IDENTITY            text: format version, owner, the log's id, a checksum
//   IDENTITY.new        IDENTITY while it is being written
//   segment-0000000007  a segment; its number is its generation and is never used again
//   spare-0000000003    a file of a segment's size that waits to become a segment
#ifndef WAL_DIRECTORY_H_
#define WAL_DIRECTORY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"

namespace concordat::wal {

// What ListLog found in the directory.
struct Listing {
  std::vector<uint32_t> segments;    // ascending
  std::vector<uint32_t> spares;      // ascending
  bool identity = false;             // is there an IDENTITY?
  bool identity_new = false;         // is there an IDENTITY.new?
  std::vector<std::string> foreign;  // names that do not belong to a log
};
[[nodiscard]] absl::StatusOr<Listing> ListLog(FileEnv* env, const std::string& dir);

[[nodiscard]] std::string LockPath(const std::string& dir);
[[nodiscard]] std::string IdentityPath(const std::string& dir);
[[nodiscard]] std::string NewIdentityPath(const std::string& dir);
[[nodiscard]] std::string SegmentPath(const std::string& dir, uint32_t generation);
[[nodiscard]] std::string SparePath(const std::string& dir, uint32_t number);

// The contents of IDENTITY.
struct LogIdentity {
  std::string owner;    // what the log holds: LogOptions::owner
  uint64_t log_id = 0;  // 64 random bits, never 0 in a log that was made
};
// The log's id as it is written in IDENTITY and shown to operators: 16 hexadecimal
// digits.
[[nodiscard]] std::string LogIdText(uint64_t log_id);
// Writes IDENTITY. It is durable when this returns OK.
[[nodiscard]] absl::Status WriteIdentity(FileEnv* env, const std::string& dir,
                                         const LogIdentity& identity);
// DATA_LOSS: the file is damaged. FAILED_PRECONDITION: another format version.
[[nodiscard]] absl::StatusOr<LogIdentity> ReadIdentity(FileEnv* env,
                                                       const std::string& dir);

// An owner has 1 to 64 printable characters without spaces.
[[nodiscard]] bool IsValidOwner(std::string_view owner);

}  // namespace concordat::wal

#endif  // WAL_DIRECTORY_H_
