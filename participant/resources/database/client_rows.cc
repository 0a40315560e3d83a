#include "participant/resources/database/client_rows.h"

#include <utility>

#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

ClientRows::ClientRows(size_t first, size_t statements, uint64_t max_bytes,
                       absl::AnyInvocable<void()> on_too_many)
    : first_(first),
      max_bytes_(max_bytes),
      on_too_many_(std::move(on_too_many)),
      results_(statements) {}

bool ClientRows::wants_columns(size_t statement) const {
  return !closed_ && results_[statement - first_].columns.empty();
}

void ClientRows::SetColumns(size_t statement, std::vector<std::string> names) {
  if (closed_) return;
  wire::SqlResult& result = results_[statement - first_];
  result.columns = std::move(names);
  result.__isset.columns = result.__isset.rows = true;
}

bool ClientRows::Add(size_t statement, std::vector<wire::Value> row) {
  if (closed_) return false;
  wire::SqlResult& result = results_[statement - first_];
  // The size of the values in the reply.
  for (const wire::Value& value : row) {
    bytes_ += 16 + value.text.size() + value.blob.size();
  }
  values_ += row.size();
  result.rows.emplace_back().values = std::move(row);
  if (bytes_ <= max_bytes_ && result.rows.size() <= kMaxAnswerRows &&
      values_ <= kMaxAnswerValues) {
    return true;
  }
  TooMany();
  return false;
}

bool ClientRows::HasRoomFor(uint64_t bytes) {
  if (closed_) return false;
  if (bytes_ + bytes <= max_bytes_) return true;
  TooMany();
  return false;
}

void ClientRows::TooMany() {
  closed_ = too_many_ = true;
  results_.clear();
  on_too_many_();
}

void ClientRows::SetChanged(size_t statement, uint64_t rows) {
  if (closed_) return;
  results_[statement - first_].__set_changed(static_cast<int64_t>(rows));
}

}  // namespace concordat::participant::database
