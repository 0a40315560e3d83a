// Tells what a row puts into one index whose content is not simply some columns: a
// partial index, or an index on expressions.
//
//   absl::StatusOr<std::unique_ptr<IndexProbe>> probe = IndexProbe::Open(source);
//   std::vector<ValueView> tuple;
//   switch ((*probe)->Look(row, &tuple)) { ... }
//
// Nothing of the index's SQL is understood here. A private database in memory has the
// same table and the same index, made by the same SQL. The row is put into it, and the
// index's own pages are read through an imposter table (www.sqlite.org/imposter.html):
// predicate, expressions and affinities are SQLite's own work. For one thread.
#ifndef PARTICIPANT_RESOURCES_SQLITE_INDEX_PROBE_H_
#define PARTICIPANT_RESOURCES_SQLITE_INDEX_PROBE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/value.h"

namespace concordat::participant::sqlite {

// The SQL of sqlite_schema, and the columns that a row is given by.
struct ProbeSource {
  std::string table;  // quoted
  std::string table_sql;
  std::string index;  // as it is named
  std::string index_sql;
  size_t key_columns = 0;    // of the index
  size_t other_columns = 0;  // of its records, behind the key
  // Quoted; empty for a generated column, which SQLite sets itself.
  std::vector<std::string> columns;
};

enum class InIndex : uint8_t {
  kNo,
  kYes,
  kUnknown,  // SQLite cannot say: the row is refused by the table itself
};

class IndexProbe {
 public:
  // An error: the table or the index cannot be made a second time. FAILED_PRECONDITION:
  // the index depends on the hidden rowid, which a row does not keep when it is written
  // again.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<IndexProbe>> Open(
      const ProbeSource& source);
  IndexProbe(const IndexProbe&) = delete;
  IndexProbe& operator=(const IndexProbe&) = delete;

  // `row` has a value for each column of the table. With kYes *tuple has the index's key
  // columns, whose bytes are valid until the next call.
  [[nodiscard]] InIndex Look(const std::vector<ValueView>& row,
                             std::vector<ValueView>* tuple);

 private:
  IndexProbe(std::unique_ptr<Database> db, const ProbeSource& source);
  [[nodiscard]] absl::Status CreateTableAndIndex(const ProbeSource& source);
  [[nodiscard]] absl::Status CreateImposter(const ProbeSource& source);
  [[nodiscard]] absl::Status PrepareStatements(const ProbeSource& source);

  std::unique_ptr<Database> db_;
  const size_t key_columns_;
  std::vector<size_t> given_;  // positions of the columns that are not generated
  Statement insert_, read_, clear_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_INDEX_PROBE_H_
