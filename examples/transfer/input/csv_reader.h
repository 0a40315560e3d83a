// Reads CSV as RFC 4180 has it, a record at a time, from a stream of any length.
//
//   CsvReader reader(&in);
//   CsvRecord record;
//   while (reader.Next(&record)) { record.line, record.fields, record.error }
//   if (!reader.status().ok()) ...   // the stream failed: not the end of the file
//
// Also taken: LF for CRLF, a byte order mark, a last line without its end. Blank
// lines are passed over. Blanks belong to the field, as the RFC says; a line break
// inside quotes is read as LF.
#ifndef EXAMPLES_TRANSFER_INPUT_CSV_READER_H_
#define EXAMPLES_TRANSFER_INPUT_CSV_READER_H_

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace concordat::transfer {

struct CsvRecord {
  uint64_t line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
  std::string error;  // what is wrong with its form; empty when nothing is
};

// Not thread-safe.
class CsvReader {
 public:
  // A longer record is an error, and is given up at the end of the line: a quote that
  // is never closed would otherwise take in the rest of the file.
  static constexpr size_t kMaxRecordBytes = 64 * 1024;

  // The stream must outlive the reader.
  explicit CsvReader(std::istream* in);

  // False at the end of the input. A record with an error has the fields that were
  // read before it, and reading goes on behind it.
  [[nodiscard]] bool Next(CsvRecord* record);

  // DATA_LOSS when reading the stream failed.
  [[nodiscard]] absl::Status status() const;

 private:
  enum class State { kFieldStart, kUnquoted, kQuoted, kQuoteInQuoted };

  void SkipByteOrderMark();
  int GetByte();
  // One byte, or -1. A CR before an LF is taken with it.
  int Get();
  void ReadRecord(int first, CsvRecord* record);
  void Consume(int c, CsvRecord* record);
  void ConsumeOutsideQuotes(int c, CsvRecord* record);
  void EndField(CsvRecord* record);
  void Append(int c, CsvRecord* record);
  bool HasRoom(CsvRecord* record);
  static void SetError(const char* what, CsvRecord* record);

  std::istream* const in_;
  std::string put_back_;  // read while looking for the mark
  uint64_t line_ = 1;
  State state_ = State::kFieldStart;
  std::string field_;
  size_t record_bytes_ = 0;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_CSV_READER_H_
