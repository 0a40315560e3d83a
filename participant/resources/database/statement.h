// What goes to a database in one batch, and what comes back.
#ifndef PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_
#define PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/xid.h"

namespace concordat::participant::database {

// Whose branches a resource manager keeps.
struct Owner {
  ClusterId cluster;
  std::string resource;
};

// A parameter: NULL, or a value in a form that the database's session understands.
struct Param {
  std::optional<std::string> value;
  bool binary = false;
  uint32_t type = 0;  // the database's number for it; 0: what the server finds the
                      // place to have
};
[[nodiscard]] inline Param Text(std::string value) {
  return {std::move(value), false, 0};
}

struct Statement {
  std::string sql;
  std::vector<Param> params = {};
  // Parsed once for each session, and kept there under a name, with the last used ones.
  bool keep = false;
  // A client's: its rows go to the batch's ClientRows while they arrive.
  bool client = false;
  // What the session has to know of it besides: bits that each database names for itself.
  uint32_t traits = 0;
};

// What a statement gave.
struct StatementResult {
  enum class State : uint8_t {
    kDone,
    kFailed,
    kSkipped,  // one before it in the batch has failed
  };
  State state = State::kDone;
  // Why it failed: the server's number (0: this database has none) and SQLSTATE, and a
  // text that names them.
  unsigned number = 0;
  std::string sqlstate;
  std::string error;
  // Of our own statements; NULL is empty.
  std::vector<std::vector<std::string>> rows;
  uint64_t changed = 0;  // rows
  // It wrote to a table that cannot roll back, or a statement of the transaction before
  // it did. What the database does not tell counts as not done.
  bool wrote_for_good = false;

  [[nodiscard]] bool ok() const { return state == State::kDone; }
  // Empty, when there is no such row.
  [[nodiscard]] std::string_view Field(size_t row, size_t column) const {
    return row < rows.size() ? std::string_view(rows[row][column]) : std::string_view();
  }
};

// The session's transaction after a batch.
enum class TransactionState : uint8_t {
  kUnknown,
  kNone,
  kOpen,
  kFailed,  // it takes no more work
};

struct BatchResult {
  // The connection went before the end of the batch: nothing is known of what was done.
  bool lost = false;
  std::string why_lost;
  // It was never sent: lost with nothing done.
  bool not_sent = false;
  // A row was larger than any answer may be: the connection was cut off, and is lost.
  bool row_too_large = false;
  std::vector<StatementResult> results;  // one a statement; empty when lost
  TransactionState transaction = TransactionState::kUnknown;

  // The index of the first statement that failed, or results.size().
  [[nodiscard]] size_t FirstFailed() const;
  [[nodiscard]] bool ok() const { return !lost && FirstFailed() == results.size(); }
  // The first failure; null when there is none, or the connection was lost.
  [[nodiscard]] const StatementResult* Failure() const;
  // Of the first failure, or of the loss. Empty when there is neither.
  [[nodiscard]] std::string Error() const;
  [[nodiscard]] bool WroteForGood() const;
};

// Which session of the server a connection has. An id may be used again, so it counts,
// too, when the session, or the server, was started: in seconds since 1970.
struct SessionId {
  std::string id;
  std::string start;

  [[nodiscard]] bool is_none() const { return id.empty(); }
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_
