// The rows that a call's statements return, collected while they arrive, up to what one
// answer may hold. A session fills them; the session and the branch that runs the call
// share them. Used on the loop's thread only.
#ifndef PARTICIPANT_RESOURCES_DATABASE_CLIENT_ROWS_H_
#define PARTICIPANT_RESOURCES_DATABASE_CLIENT_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "concordat_wire/participant_types.h"

namespace concordat::participant::database {

class ClientRows {
 public:
  // For `statements` statements, the first of which is number `first` of its batch.
  // `on_too_many` is called once, when the rows become more than an answer may hold.
  ClientRows(size_t first, size_t statements, uint64_t max_bytes,
             absl::AnyInvocable<void()> on_too_many);

  // `statement` is the statement's number in its batch, in all of these. The columns'
  // names are set once, not later than the first row.
  [[nodiscard]] bool wants_columns(size_t statement) const;
  void SetColumns(size_t statement, std::vector<std::string> names);
  // Whether there is room for a row of so many bytes. If not, the rows are too many from
  // now on. For a database that tells the size of a row before anything is copied.
  bool HasRoomFor(uint64_t bytes);
  // False: no more rows are wanted.
  bool Add(size_t statement, std::vector<wire::Value> row);
  // How many rows the statement has changed.
  void SetChanged(size_t statement, uint64_t rows);

  // The rows are not wanted any more.
  void Stop() { closed_ = true; }
  [[nodiscard]] bool is_closed() const { return closed_; }
  // There were more rows than an answer may hold. None of them is kept.
  [[nodiscard]] bool too_many() const { return too_many_; }
  [[nodiscard]] std::vector<wire::SqlResult> Take() { return std::move(results_); }

 private:
  void TooMany();

  const size_t first_;                      // number in the batch of results_[0]
  const uint64_t max_bytes_;                // of one answer
  absl::AnyInvocable<void()> on_too_many_;  // called at most once
  std::vector<wire::SqlResult> results_;    // one a statement
  uint64_t bytes_ = 0;                      // of all rows so far
  uint64_t values_ = 0;                     // in all rows so far
  bool closed_ = false;                     // no more rows are wanted
  bool too_many_ = false;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_CLIENT_ROWS_H_
