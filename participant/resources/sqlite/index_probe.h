// Finds out what a row puts into an index whose tuples are not simply some columns: a
// partial index, or an index on expressions.
//
//   absl::StatusOr<std::unique_ptr<IndexProbe>> probe = IndexProbe::Open(source);
//   std::vector<ValueView> tuple;
//   switch ((*probe)->Look(row, &tuple)) { ... }
//
// The index's SQL is not interpreted here. A private database in memory has the same
// table and the same index, made by the same SQL. The row is inserted into it, and the
// index's own pages are read through an imposter table (www.sqlite.org/imposter.html). So
// SQLite itself evaluates the predicate, the expressions and the affinities. For one
// thread.
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

// The SQL of sqlite_schema, and the columns of a row.
struct ProbeSource {
  std::string table;         // quoted
  std::string table_sql;     // CREATE TABLE …
  std::string index;         // not quoted
  std::string index_sql;     // CREATE INDEX …
  size_t key_columns = 0;    // of the index
  size_t other_columns = 0;  // of the index's records, after the key
  // Quoted. An empty name stands for a generated column, which SQLite sets itself.
  std::vector<std::string> columns;
};

enum class InIndex : uint8_t {
  kNo,
  kYes,
  kUnknown,  // SQLite cannot tell: the table itself refuses the row
};

class IndexProbe {
 public:
  // An error means that the table or the index cannot be made a second time.
  // FAILED_PRECONDITION: the index depends on the hidden rowid, which a row does not keep
  // when it is written again.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<IndexProbe>> Open(
      const ProbeSource& source);
  IndexProbe(const IndexProbe&) = delete;
  IndexProbe& operator=(const IndexProbe&) = delete;

  // `row` has a value for each column of the table. With kYes, *tuple has the index's key
  // columns; their bytes are valid until the next call.
  [[nodiscard]] InIndex Look(const std::vector<ValueView>& row,
                             std::vector<ValueView>* tuple);

 private:
  IndexProbe(std::unique_ptr<Database> db, const ProbeSource& source);
  [[nodiscard]] absl::Status CreateTableAndIndex(const ProbeSource& source);
  [[nodiscard]] absl::Status CreateImposter(const ProbeSource& source);
  [[nodiscard]] absl::Status PrepareStatements(const ProbeSource& source);

  std::unique_ptr<Database> db_;  // in memory
  const size_t key_columns_;      // of the index
  std::vector<size_t> given_;     // indexes of the columns that are not generated
  Statement insert_, read_, clear_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_INDEX_PROBE_H_
