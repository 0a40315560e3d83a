// The statements that are sent to a database in one batch, and their results.
#ifndef PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_
#define PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/xid.h"

namespace concordat::participant::database {

// The cluster and the resource whose branches a resource manager keeps.
struct Owner {
  ClusterId cluster;
  std::string resource;  // its name
};

// A parameter: NULL, or a value in a form that the database's session understands.
struct Param {
  std::optional<std::string> value;  // none: NULL
  bool binary = false;               // the value is in the database's binary form
  // The database's number of the type. 0: the server infers it from the statement.
  uint32_t type = 0;
};
[[nodiscard]] inline Param Text(std::string value) {
  return {std::move(value), false, 0};
}

struct Statement {
  std::string sql;
  std::vector<Param> params = {};  // in the order of their places in `sql`
  // The statement is parsed once in each session and kept there under a name, as long as
  // it is among those that were used last.
  bool keep = false;
  // It is a client's: its rows go to the batch's ClientRows while they arrive.
  bool client = false;
  // What else the session has to know of it: bits that each database defines itself.
  uint32_t traits = 0;
};

// What a statement returned.
struct StatementResult {
  enum class State : uint8_t {
    kDone,
    kFailed,
    kSkipped,  // a statement before it in the batch has failed
  };
  State state = State::kDone;
  // With kFailed: the server's error number (0: this database has none), its SQLSTATE,
  // and a text that names them.
  unsigned number = 0;
  std::string sqlstate;
  std::string error;
  // The rows of our own statements. NULL is given as an empty text.
  std::vector<std::vector<std::string>> rows;
  uint64_t changed = 0;  // the number of rows that it changed
  // It, or an earlier statement of the transaction, wrote to a table that cannot roll
  // back. False when the database does not tell.
  bool wrote_for_good = false;

  [[nodiscard]] bool ok() const { return state == State::kDone; }
  // A value of the rows. Empty when there is no such row.
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
  // The connection was lost before the end of the batch: nothing is known of what the
  // server has done.
  bool lost = false;
  std::string why_lost;  // empty when it was not
  // The batch is lost, but it was never sent: nothing of it was done.
  bool not_sent = false;
  // The batch is lost because a row was larger than any answer may be, so that the
  // connection was closed.
  bool row_too_large = false;
  std::vector<StatementResult> results;  // one for each statement; empty when lost
  TransactionState transaction = TransactionState::kUnknown;

  // The index of the first statement that failed, or results.size().
  [[nodiscard]] size_t FirstFailed() const;
  [[nodiscard]] bool ok() const { return !lost && FirstFailed() == results.size(); }
  // The first failure. Null when there is none, or the connection was lost.
  [[nodiscard]] const StatementResult* Failure() const;
  // The text of the first failure, or of the loss. Empty when there is neither.
  [[nodiscard]] std::string Error() const;
  // Whether one of the results has wrote_for_good.
  [[nodiscard]] bool WroteForGood() const;
};

// Identifies the server's session of a connection. The server may use an id again, so the
// time at which the session, or the server, was started is part of the identity.
struct SessionId {
  std::string id;     // the server's number of the session
  std::string start;  // in seconds since 1970

  [[nodiscard]] bool is_none() const { return id.empty(); }
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_STATEMENT_H_
