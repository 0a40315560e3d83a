#include "wal/log_writer.h"

namespace concordat::wal {

void LogWriterExample(LogOptions log_options, const ReadCallback& replay, uint8_t kEntry,
                      const std::string& bytes, uint8_t kVote, const std::string& vote) {
  // EXAMPLE
}

void HoldExample(std::unique_ptr<LogWriter>* writer, const std::vector<Record>& records) {
  // EXAMPLE
}

}  // namespace concordat::wal
