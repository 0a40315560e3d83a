// The rows of a call's statements, taken in while they arrive, up to what one answer may
// hold. Filled by a session, owned by it and by the branch that runs the call. For the
// loop's thread.
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

  // All by the statement's number in its batch. The names are taken once, with or before
  // the first row.
  [[nodiscard]] bool wants_columns(size_t statement) const;
  void SetColumns(size_t statement, std::vector<std::string> names);
  // Whether a row of so many bytes can still be taken in; if not, they are too many. For
  // a database that tells the size of a row before anything is copied.
  bool HasRoomFor(uint64_t bytes);
  // False: no more of them.
  bool Add(size_t statement, std::vector<wire::Value> row);
  void SetChanged(size_t statement, uint64_t rows);

  // Nobody wants them any more.
  void Stop() { closed_ = true; }
  [[nodiscard]] bool is_closed() const { return closed_; }
  // There were more than an answer may hold; none is kept.
  [[nodiscard]] bool too_many() const { return too_many_; }
  [[nodiscard]] std::vector<wire::SqlResult> Take() { return std::move(results_); }

 private:
  void TooMany();

  const size_t first_;
  const uint64_t max_bytes_;
  absl::AnyInvocable<void()> on_too_many_;
  std::vector<wire::SqlResult> results_;
  uint64_t bytes_ = 0;
  uint64_t values_ = 0;
  bool closed_ = false;
  bool too_many_ = false;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_CLIENT_ROWS_H_
