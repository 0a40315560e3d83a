// One connection to the server, in libpq's pipeline mode on an event loop.
//
// A batch is sent with one Sync at its end, and is one round trip. When a statement
// fails, the server skips the rest of its batch (PostgreSQL 15 manual, 34.5 "Pipeline
// Mode"). The session is spent when the tables have changed so that statements that it
// keeps do not fit them any more, or when something of a branch is left in it.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_

#include <libpq-fe.h>

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "participant/resources/database/session.h"
#include "participant/resources/postgresql/paced_read.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::postgresql {

using database::SessionId;
using database::Statement;
using database::StatementResult;
using database::Text;

// The bits of Statement::traits.
enum Trait : uint32_t {
  // The answer's command tag must be the first words of the statement; otherwise it has
  // failed. In a transaction that has failed, PREPARE TRANSACTION and COMMIT are answered
  // without an error, with the tag ROLLBACK.
  kTagged = 1,
  // The statement returns one row, which says whether nothing of the branch will be left
  // in the session after its transaction (schema.h, add_evidence).
  kTellsWhetherReset = 2,
};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// in_failed_sql_transaction. It is also given for an answer with a wrong tag (kTagged).
inline constexpr char kInFailedTransaction[] = "25P02";
// Empty when the statement succeeded.
[[nodiscard]] std::string SqlState(const PGresult* result);
// The error with its detail, in one line: "42601: syntax error …".
[[nodiscard]] std::string ErrorText(const PGresult* result);
// A value of the result. Empty for NULL.
[[nodiscard]] std::string_view Field(const PGresult* result, int row, int column);

// The most bytes of one row that the connection reads before it is closed. A row of
// kMaxAnswerBytes is smaller even as hexadecimal digits, as which it may arrive.
inline constexpr int64_t kMaxRowBytes = 16 << 20;

struct ConnectionConfig {
  std::string url;               // as libpq takes it
  std::string application_name;  // is shown in pg_stat_activity
  Duration connect_timeout;
  Duration lock_timeout;       // how long a statement waits for a lock
  Duration statement_timeout;  // how long a statement may run
  // The pid of the backend that must hold the serving lock. Null or empty: none must.
  std::shared_ptr<const std::string> lock_holder;
  // Tells the database for whom the session works (schema.h), as the last part of its
  // set-up. The session of the serving lock has none.
  std::optional<Statement> opening;
  // Clients' statements run in the session, with the role's search_path. All other
  // sessions have pg_catalog as their search_path, whatever is set for the role.
  bool for_clients = false;
};

class Connection final : public database::Session {
 public:
  Connection(rpc::EventLoop* loop, ConnectionConfig config, database::Counters* counters);
  ~Connection() override;

  // Sends nothing if the branch has reset the session itself (kTellsWhetherReset).
  void Reset() override;

 private:
  // An answer that is awaited.
  struct Awaited {
    enum class Kind : uint8_t { kStatement, kParse, kDeallocate };
    Kind kind = Kind::kStatement;
    std::string key = {};              // kParse: the key of the statement to be kept
    std::string tag = {};              // with kTagged: the statement
    bool client = false;               // Statement::client
    bool tells_whether_reset = false;  // kTellsWhetherReset
  };
  struct Batch {
    size_t count = 0;             // of the statements
    std::deque<Awaited> awaited;  // in the order in which the answers come
    database::BatchDone done;
    std::shared_ptr<database::ClientRows> rows;  // null: no client's rows
    std::optional<bool> told_whether_reset;      // none: no statement tells that
    uint64_t reads_before = 0;                   // reads_ when it was sent
    bool row_too_large = false;                  // see BatchResult
    database::BatchResult result;
    Result current;      // the last result of the statement that is being answered
    Result parse_error;  // why the Parse before the statement failed; null: it did not
  };
  // A statement that is prepared on the server.
  struct Kept {
    std::string name;                      // on the server
    std::list<std::string>::iterator use;  // its place in uses_
  };
  // A batch that is sent when the session is reset.
  struct HeldBack {
    std::vector<Statement> statements;
    database::BatchDone done;
    std::shared_ptr<database::ClientRows> rows;
  };

  void BeginConnect() override;
  void Send(std::vector<Statement> statements, database::BatchDone done,
            std::shared_ptr<database::ClientRows> rows) override;
  std::vector<Owed> Drop() override;
  void OnFdEvent(bool readable, bool writable) override;
  void PollConnect();
  void SetUpSession();
  [[nodiscard]] bool SendOne(const Statement& statement, Batch* batch);
  [[nodiscard]] bool SendKept(const Statement& statement, Batch* batch);
  // Sends the Parse of a statement that is to be kept. The kept statement that was not
  // used for the longest time is dropped, if there are too many.
  [[nodiscard]] bool Keep(const std::string& key, const Statement& statement,
                          Batch* batch);
  void SendBatch(std::vector<Statement> statements, database::BatchDone done,
                 std::shared_ptr<database::ClientRows> rows);
  void OnReset(const database::BatchResult& r);
  [[nodiscard]] bool Consume();
  void CutOff();
  void AskForSingleRows(const Batch& batch);
  void GiveRow(Batch* batch, const PGresult* row);
  void Flush();
  void ReadResults();
  void TakeResult(Result result);
  void EndStatement(Batch* batch);
  [[nodiscard]] bool EndHelper(Batch* batch, const Awaited& awaited, Result* result);
  [[nodiscard]] StatementResult TakeAnswer(Batch* batch, const Awaited& awaited,
                                           const PGresult* result);
  void EndBatch();
  [[nodiscard]] std::string ErrorMessage() const;

  const ConnectionConfig config_;
  PGconn* pg_ = nullptr;                         // null: not connected, or closed
  std::deque<Batch> batches_;                    // sent, in that order, and not answered
  absl::flat_hash_map<std::string, Kept> kept_;  // by KeyOf
  std::list<std::string> uses_;                  // keys, the last used first
  uint64_t last_name_ = 0;        // the number in the last name of a kept statement
  int64_t unanswered_bytes_ = 0;  // read since the last whole result
  uint64_t reads_ = 0;            // how often the socket was read
  PacedRead paced_read_;
  bool resetting_ = false;          // a reset was sent, and is not answered
  bool is_reset_ = false;           // nothing was run since the last reset
  std::deque<HeldBack> held_back_;  // until the reset is answered
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_
