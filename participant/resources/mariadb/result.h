// What statements are, and what they give: rows, errors, counts.
#ifndef PARTICIPANT_RESOURCES_MARIADB_RESULT_H_
#define PARTICIPANT_RESOURCES_MARIADB_RESULT_H_

#include <mysql.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::participant::mariadb {

struct Statement {
  // Our own words; or, with `keep`, a user's: one statement with a ? for each parameter.
  std::string sql;
  std::vector<std::string> params = {};  // literals (value.h)
  // A user's. Prepared on the server, and kept there under a name.
  bool keep = false;
  // Left out, and has no result, when the server keeps no binary log.
  bool only_with_binlog = false;
  // A user's that changes rows: those that it returns are the ones it has changed.
  bool writes = false;
  // A user's that may leave something in the session that the server does not tell of.
  bool taints = false;
  // Our own, which the server reports as a change of the session's state.
  bool changes_session = false;
  // Our own: its columns 1 and 2 say whether the server still reports such changes.
  bool asks_reports = false;
};

// The rows of one result, copied as they arrive.
class RowSet {
 public:
  struct Column {
    std::string name;
    enum_field_types type;
    unsigned charset;
  };

  explicit RowSet(MYSQL_RES* result);

  // The next row of `result`, which is not null.
  void Add(MYSQL_RES* result, MYSQL_ROW row);
  // Counts a row, and keeps nothing of it or of those before it.
  void Skip();

  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }
  [[nodiscard]] size_t row_count() const {
    return columns_.empty() ? 0 : cells_.size() / columns_.size();
  }
  // With those that were skipped.
  [[nodiscard]] uint64_t arrived() const { return arrived_; }
  // A byte 0 follows.
  [[nodiscard]] std::string_view Field(size_t row, unsigned column) const;
  [[nodiscard]] bool IsNull(size_t row, unsigned column) const {
    return CellAt(row, column).begin == kNull;
  }

 private:
  struct Cell {
    size_t begin = 0;
    size_t size = 0;
  };
  static constexpr size_t kNull = ~size_t{0};
  [[nodiscard]] const Cell& CellAt(size_t row, unsigned column) const {
    return cells_[row * columns_.size() + column];
  }

  std::vector<Column> columns_;
  std::vector<Cell> cells_;
  std::string bytes_;
  uint64_t arrived_ = 0;
};
using Rows = std::unique_ptr<RowSet>;

// What a statement gave.
struct Result {
  unsigned error = 0;  // the server's number; kSkipped
  std::string sqlstate;
  std::string message;
  Rows rows;             // when it has any, or could have had
  uint64_t changed = 0;  // rows
  bool counts = false;   // `changed` is known
  // It wrote to a table that cannot roll back, or a statement of the transaction before
  // it did (session_track_transaction_info). Statements that give rows do not tell.
  bool wrote_for_good = false;

  [[nodiscard]] size_t row_count() const;
  // Column `column` of row `row`, empty for NULL.
  [[nodiscard]] std::string_view Field(size_t row, unsigned column) const;
  [[nodiscard]] bool IsNull(size_t row, unsigned column) const;
};
inline constexpr unsigned kSkipped = ~0u;

struct BatchResult {
  // The connection went before the end of the batch: nothing is known of what was done.
  bool lost = false;
  std::string why_lost;
  // It was never sent: lost with nothing done.
  bool not_sent = false;
  std::vector<Result> results;  // one a statement; empty when lost
  bool in_transaction = false;  // the session is, after the batch
  // The rows of users' statements were more than the connection takes in: some results
  // have none.
  bool too_large = false;

  // The index of the first statement that failed, or results.size().
  [[nodiscard]] size_t FirstFailed() const;
  [[nodiscard]] bool ok() const { return !lost && FirstFailed() == results.size(); }
  // Of the first failure; 0 when there is none, or the connection was lost.
  [[nodiscard]] unsigned ErrorNumber() const;
  // Of the first failure, or of the loss: "1062 (23000): Duplicate entry …".
  [[nodiscard]] std::string Error() const;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_RESULT_H_
