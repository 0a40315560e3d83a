#include <iostream>

#include "absl/strings/str_cat.h"
#include "coordinator/base/file_env.h"
#include "coordinator/cli/commands.h"
#include "coordinator/machines/machines.h"
#include "coordinator/storage/raft_records.h"
#include "wal/dump.h"

namespace concordat::cli {

namespace {

// Formats a coordinator's record, including the command in an entry.
std::string FormatRecord(wal::Lsn, uint8_t type, std::string_view payload) {
  std::string text = storage::DescribeRaftRecord(type, payload);
  const auto record = storage::DecodeRaftRecord(type, payload);
  if (!record.ok()) return text;
  const auto* entry = std::get_if<storage::EntryRecord>(&*record);
  if (entry == nullptr || entry->entry.type != raft::EntryType::kCommand) return text;
  absl::StrAppend(&text, "  ", machines::DescribeCommand(entry->entry.data.view()));
  return text;
}

}  // namespace

int DumpLog(const std::string& dir, bool segments_only) {
  wal::DumpOptions options;
  options.records = !segments_only;
  options.format_owner = "concordatd:";
  options.format = FormatRecord;
  const absl::Status dumped = wal::Dump(PosixFileEnv(), dir, options, std::cout);
  if (dumped.ok()) return kExitOk;
  std::cerr << "concordat: " << dumped.message() << "\n";
  return kExitNegative;
}

}  // namespace concordat::cli
