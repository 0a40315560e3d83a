#include "participant/resources/mariadb/result.h"

#include "absl/strings/str_cat.h"

namespace concordat::participant::mariadb {

RowSet::RowSet(MYSQL_RES* result) {
  const unsigned count = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  for (unsigned c = 0; c < count; ++c) {
    columns_.push_back({fields[c].name, fields[c].type, fields[c].charsetnr});
  }
}

void RowSet::Add(MYSQL_RES* result, MYSQL_ROW row) {
  ++arrived_;
  const unsigned long* sizes = mysql_fetch_lengths(result);
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (row[c] == nullptr) {
      cells_.push_back({kNull, 0});
      continue;
    }
    cells_.push_back({bytes_.size(), sizes[c]});
    bytes_.append(row[c], sizes[c]);
    bytes_.push_back('\0');
  }
}

void RowSet::Skip() {
  ++arrived_;
  cells_ = {};
  bytes_ = {};
}

std::string_view RowSet::Field(size_t row, unsigned column) const {
  const Cell& cell = CellAt(row, column);
  if (cell.begin == kNull) return {};
  return std::string_view(bytes_).substr(cell.begin, cell.size);
}

size_t Result::row_count() const { return rows == nullptr ? 0 : rows->row_count(); }

std::string_view Result::Field(size_t row, unsigned column) const {
  return rows->Field(row, column);
}

bool Result::IsNull(size_t row, unsigned column) const {
  return rows->IsNull(row, column);
}

size_t BatchResult::FirstFailed() const {
  size_t i = 0;
  while (i < results.size() && results[i].error == 0) ++i;
  return i;
}

unsigned BatchResult::ErrorNumber() const {
  const size_t failed = FirstFailed();
  return lost || failed == results.size() ? 0 : results[failed].error;
}

std::string BatchResult::Error() const {
  if (not_sent) return why_lost;
  if (lost) return absl::StrCat("the connection was lost: ", why_lost);
  const size_t failed = FirstFailed();
  if (failed == results.size()) return "";
  const Result& r = results[failed];
  return absl::StrCat(r.error, " (", r.sqlstate, "): ", r.message);
}

}  // namespace concordat::participant::mariadb
