// One connection to the server, in libpq's pipeline mode on an event loop.
//
// A batch is sent with one Sync at its end: one round trip. When a statement fails, the
// rest of its batch is skipped by the server (PostgreSQL 15 manual, 34.5 "Pipeline
// Mode"). The session is spent when statements that it keeps do not fit any more (the
// tables have changed), or something of a branch is left in it.
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

// What a statement's `traits` say.
enum Trait : uint32_t {
  // The answer's tag must be the statement's first words; with any other it has failed.
  // PREPARE TRANSACTION and COMMIT in a transaction that had failed are answered without
  // an error, with the tag ROLLBACK.
  kTagged = 1,
  // One row, whether nothing of the branch is left in the session when its transaction is
  // over (schema.h, add_evidence).
  kTellsWhetherReset = 2,
};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// in_failed_sql_transaction: also of an answer with another tag (kTagged).
inline constexpr char kInFailedTransaction[] = "25P02";
// Empty when the statement succeeded.
[[nodiscard]] std::string SqlState(const PGresult* result);
// "42601: syntax error …" with detail, without line ends.
[[nodiscard]] std::string ErrorText(const PGresult* result);
// Column `column` of row `row`, empty for NULL.
[[nodiscard]] std::string_view Field(const PGresult* result, int row, int column);

// What the connection takes in of one row before it is cut off: more than any row of
// kMaxAnswerBytes is on the way, in hexadecimal digits.
inline constexpr int64_t kMaxRowBytes = 16 << 20;

struct ConnectionConfig {
  std::string url;
  std::string application_name;
  Duration connect_timeout;
  Duration lock_timeout;
  Duration statement_timeout;
  // When set, and not empty: the backend that must hold the serving lock.
  std::shared_ptr<const std::string> lock_holder;
  // Says who the session works for (schema.h), as the last part of its set-up. None for
  // that of the serving lock.
  std::optional<Statement> opening;
  // Clients' statements run in it: they see the role's search_path. All others see
  // pg_catalog alone, whatever the role may have set for itself.
  bool for_clients = false;
};

class Connection final : public database::Session {
 public:
  Connection(rpc::EventLoop* loop, ConnectionConfig config, database::Counters* counters);
  ~Connection() override;

  // Nothing is sent when the branch itself has seen to it (kTellsWhetherReset).
  void Reset() override;

 private:
  // An answer that is to come.
  struct Awaited {
    enum class Kind : uint8_t { kStatement, kParse, kDeallocate };
    Kind kind = Kind::kStatement;
    std::string key = {};  // kParse: of the statement that is to be kept
    std::string tag = {};  // with kTagged: the statement
    bool client = false;
    bool tells_whether_reset = false;
  };
  struct Batch {
    size_t count = 0;
    std::deque<Awaited> awaited;
    database::BatchDone done;
    std::shared_ptr<database::ClientRows> rows;
    std::optional<bool> told_whether_reset;
    uint64_t reads_before = 0;  // when it was sent
    bool row_too_large = false;
    database::BatchResult result;
    Result current;
    Result parse_error;
  };
  struct Kept {
    std::string name;  // on the server
    std::list<std::string>::iterator use;
  };
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
  // Sends the Parse of a statement that is to be kept, in the place of the one that was
  // not used for longest.
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
  PGconn* pg_ = nullptr;
  std::deque<Batch> batches_;
  absl::flat_hash_map<std::string, Kept> kept_;  // by KeyOf
  std::list<std::string> uses_;                  // keys, the last used first
  uint64_t last_name_ = 0;
  int64_t unanswered_bytes_ = 0;  // taken in since the last whole result
  uint64_t reads_ = 0;            // of the socket
  PacedRead paced_read_;
  bool resetting_ = false;
  bool is_reset_ = false;
  std::deque<HeldBack> held_back_;  // until the reset is answered
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_
