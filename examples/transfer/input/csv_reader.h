// Reads CSV as in RFC 4180, one record at a time, from a stream of any length.
//
//   CsvReader reader(&in);
//   CsvRecord record;
//   while (reader.Next(&record)) { … }   // record.line, record.fields, record.error
//   if (!reader.status().ok()) { … }     // the stream has failed before its end
//
// It also accepts LF instead of CRLF, a byte order mark, and a last line without its end.
// Blank lines are skipped. Blanks belong to the field, as the RFC says; a line break
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
  uint64_t line = 0;  // the line where it begins, from 1
  std::vector<std::string> fields;
  std::string error;  // what is wrong with its form; empty: nothing
};

// Not thread-safe.
class CsvReader {
 public:
  // A longer record is an error and ends at the end of its line. Otherwise a quote that
  // is never closed would consume the rest of the file.
  static constexpr size_t kMaxRecordBytes = 64 * 1024;

  // The stream must outlive the reader.
  explicit CsvReader(std::istream* in);

  // False at the end of the input. A record with an error has the fields before the
  // error; the next call reads the record after it.
  [[nodiscard]] bool Next(CsvRecord* record);

  // DATA_LOSS: the stream could not be read.
  [[nodiscard]] absl::Status status() const;

 private:
  enum class State { kFieldStart, kUnquoted, kQuoted, kQuoteInQuoted };

  void SkipByteOrderMark();
  int GetByte();
  // The next byte, or -1. CR LF is returned as one LF.
  int Get();
  void ReadRecord(int first, CsvRecord* record);
  void Consume(int c, CsvRecord* record);
  void ConsumeOutsideQuotes(int c, CsvRecord* record);
  void EndField(CsvRecord* record);
  void Append(int c, CsvRecord* record);
  bool HasRoom(CsvRecord* record);
  static void SetError(const char* what, CsvRecord* record);

  std::istream* const in_;
  std::string put_back_;  // bytes read in search of the mark; they come first
  uint64_t line_ = 1;     // the current line
  State state_ = State::kFieldStart;
  std::string field_;        // the current field so far
  size_t record_bytes_ = 0;  // of the current record so far
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_CSV_READER_H_
