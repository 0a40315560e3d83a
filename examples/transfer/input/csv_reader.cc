#include "examples/transfer/input/csv_reader.h"

namespace concordat::transfer {

namespace {
constexpr int kEnd = -1;
}  // namespace

CsvReader::CsvReader(std::istream* in) : in_(in) { SkipByteOrderMark(); }

void CsvReader::SkipByteOrderMark() {
  static constexpr char kMark[] = "\xef\xbb\xbf";
  // Only the third byte decides: the first two may be the beginning of a name.
  while (put_back_.size() < 3 &&
         in_->peek() == static_cast<unsigned char>(kMark[put_back_.size()])) {
    put_back_.push_back(static_cast<char>(in_->get()));
  }
  if (put_back_ == kMark) put_back_.clear();
}

int CsvReader::GetByte() {
  if (put_back_.empty()) return in_->get();
  const auto byte = static_cast<unsigned char>(put_back_.front());
  put_back_.erase(0, 1);
  return byte;
}

int CsvReader::Get() {
  int c = GetByte();
  if (c == std::istream::traits_type::eof()) return kEnd;
  if (c == '\r' && in_->peek() == '\n') c = in_->get();
  if (c == '\n') ++line_;
  return c;
}

bool CsvReader::Next(CsvRecord* record) {
  while (true) {
    record->line = line_;
    record->fields.clear();
    record->error.clear();
    const int first = Get();
    if (first == kEnd) return false;
    if (first == '\n') continue;
    ReadRecord(first, record);
    return true;
  }
}

void CsvReader::ReadRecord(int first, CsvRecord* record) {
  state_ = State::kFieldStart;
  field_.clear();
  record_bytes_ = 0;
  int c = first;
  while (c != kEnd && (c != '\n' || state_ == State::kQuoted)) {
    Consume(c, record);
    c = Get();
  }
  if (state_ == State::kQuoted) SetError("a quote is not closed", record);
  EndField(record);
}

void CsvReader::Consume(int c, CsvRecord* record) {
  if (state_ != State::kQuoted) {
    ConsumeOutsideQuotes(c, record);
  } else if (c == '"') {
    state_ = State::kQuoteInQuoted;  // the end of the field, or the first of two
  } else {
    Append(c, record);
  }
}

void CsvReader::ConsumeOutsideQuotes(int c, CsvRecord* record) {
  if (c == ',') {
    EndField(record);
    state_ = State::kFieldStart;
    return;
  }
  if (c == '"') {
    switch (state_) {
      case State::kFieldStart:
        state_ = State::kQuoted;
        return;
      case State::kQuoteInQuoted:  // doubled: one quote of the text
        state_ = State::kQuoted;
        Append(c, record);
        return;
      default:
        SetError("a quote inside a field that is not quoted", record);
        return;
    }
  }
  if (state_ == State::kQuoteInQuoted) {
    SetError("text behind a closing quote", record);
  }
  state_ = State::kUnquoted;
  Append(c, record);
}

void CsvReader::EndField(CsvRecord* record) {
  if (HasRoom(record)) record->fields.push_back(field_);
  field_.clear();
}

void CsvReader::Append(int c, CsvRecord* record) {
  if (HasRoom(record)) field_.push_back(static_cast<char>(c));
}

bool CsvReader::HasRoom(CsvRecord* record) {
  if (++record_bytes_ <= kMaxRecordBytes) return true;
  SetError("the row is too long, or a quote in it is not closed", record);
  state_ = State::kUnquoted;  // the next line begins a row again
  return false;
}

void CsvReader::SetError(const char* what, CsvRecord* record) {
  if (record->error.empty()) record->error = what;
}

absl::Status CsvReader::status() const {
  if (in_->bad()) return absl::DataLossError("reading the input failed");
  return absl::OkStatus();
}

}  // namespace concordat::transfer
