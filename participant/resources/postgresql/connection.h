// One connection to the server, in libpq's pipeline mode on an event loop.
//
//   auto c = std::make_shared<Connection>(loop, &config, &counters);
//   c->Connect([](absl::Status s) { ... });
//   c->Run({{"BEGIN"}, {"UPDATE t SET x=$1", {Text("5")}}},
//          [](BatchResult r) { ... });
//
// A batch is sent with one Sync at its end: one round trip. When a statement fails, the
// rest of its batch is skipped by the server (PostgreSQL 15 manual, 34.5 "Pipeline
// Mode"). All for the loop's thread. Callbacks may drop the connection.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_

#include <libpq-fe.h>

#include <atomic>
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
#include "participant/resources/postgresql/paced_read.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::postgresql {

// A parameter: NULL, or bytes in the text or binary form of `type` (0: whatever type
// the server finds the place to have).
struct Param {
  std::optional<std::string> value;
  bool binary = false;
  Oid type = 0;
};
[[nodiscard]] inline Param Text(std::string value) {
  return {std::move(value), false, 0};
}

struct Statement {
  std::string sql;
  std::vector<Param> params = {};
  // Parsed once for each connection, and kept there under a name, with the last used
  // ones.
  bool keep = false;
  // Its rows go to the batch's sink while they arrive.
  bool to_sink = false;
};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// Empty when the statement succeeded. "Skipped" has a state of its own, kSkipped.
[[nodiscard]] std::string SqlState(const PGresult* result);
inline constexpr std::string_view kSkipped = "-----";
// "ERROR 42601: syntax error …" with detail, without line ends.
[[nodiscard]] std::string ErrorText(const PGresult* result);
// Column `column` of row `row`, empty for NULL.
[[nodiscard]] std::string_view Field(const PGresult* result, int row, int column);

struct BatchResult {
  // The connection went before the end of the batch: nothing is known of what was done.
  bool lost = false;
  std::string why_lost;
  // It was never sent: lost with nothing done.
  bool not_sent = false;
  // A row was larger than any answer may be: the connection was cut off, and is lost.
  bool row_too_large = false;
  std::vector<Result> results;  // one a statement; empty when lost
  PGTransactionStatusType transaction = PQTRANS_UNKNOWN;

  // The index of the first statement that failed, or results.size().
  [[nodiscard]] size_t FirstFailed() const;
  [[nodiscard]] bool ok() const { return !lost && FirstFailed() == results.size(); }
  // Of the first failure, or of the loss.
  [[nodiscard]] std::string Error() const;
};

// Takes a row of a batch's statement. False: no more of them.
using RowSink = absl::AnyInvocable<bool(size_t statement, const PGresult* row)>;

// What the connection takes in of one row before it is cut off: more than any row of
// kMaxAnswerBytes is on the way, in hexadecimal digits.
inline constexpr int64_t kMaxRowBytes = 16 << 20;

// Which backend of the server a connection has; a pid alone may be used again.
struct Backend {
  std::string pid;
  std::string start;  // backend_start, in seconds since 1970

  [[nodiscard]] bool is_none() const { return pid.empty(); }
};

struct ConnectionConfig {
  std::string url;
  std::string application_name;
  Duration connect_timeout;
  Duration lock_timeout;
  Duration statement_timeout;
  // When set, and not empty: the backend that must hold the resource's lock (guard.h).
  std::shared_ptr<const std::string> guard_pid;
  // Says who the session works for (schema.h), as the last part of its set-up. None for
  // the guard.
  std::optional<Statement> opening;
  // Clients' statements run in it: they see the role's search_path. All others see
  // pg_catalog alone, whatever the role may have set for itself.
  bool for_clients = false;
};

// Shared by all connections of a resource; read by any thread.
struct Counters {
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> round_trips{0};
  std::atomic<uint64_t> lost_ends{0};
};

class Connection final : public std::enable_shared_from_this<Connection>,
                         public rpc::FdWatch::Handler {
 public:
  using Config = ConnectionConfig;  // for Pool
  using Counters = postgresql::Counters;
  Connection(rpc::EventLoop* loop, ConnectionConfig config, Counters* counters);
  // Callbacks that are owed are not called: see Close.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Connects and sets the session up. UNAVAILABLE: not reached, or not in time.
  // FAILED_PRECONDITION: the server refused us; its words are in the message.
  void Connect(absl::AnyInvocable<void(absl::Status)> done);
  // Connected, and not known to be broken.
  [[nodiscard]] bool alive() const { return state_ == State::kReady; }
  [[nodiscard]] bool busy() const { return !batches_.empty(); }

  // Batches are done in order. On a connection that is not alive: lost, at once. The rows
  // of statements that say so go to `sink`, all others into the results.
  void Run(std::vector<Statement> statements, absl::AnyInvocable<void(BatchResult)> done,
           RowSink sink = nullptr);
  // After a branch, outside of a transaction: nothing of it stays in the session. What
  // is run next is sent when that is certain; when it cannot be, the connection breaks.
  // Nothing is sent when the branch itself has seen to it (NoteReset).
  void Reset();
  // What was run last has taken the session back to what it was.
  void NoteReset() { is_reset_ = true; }
  // Drops the connection; batches under way are lost.
  void Close(const std::string& why);
  // Called once when the connection breaks, after the batches have been called back.
  void OnBroken(absl::AnyInvocable<void()> listener) { on_broken_ = std::move(listener); }

  [[nodiscard]] const Backend& backend() const { return backend_; }
  [[nodiscard]] int server_version() const { return server_version_; }
  // Statements that are kept do not fit any more (the tables have changed).
  [[nodiscard]] bool plans_stale() const { return plans_stale_; }

 private:
  enum class State : uint8_t { kNew, kConnecting, kReady, kBroken };
  // An answer that is to come.
  struct Awaited {
    enum class Kind : uint8_t { kStatement, kParse, kDeallocate };
    Kind kind = Kind::kStatement;
    std::string key = {};  // kParse: of the statement that is to be kept
    bool to_sink = false;
  };
  struct Batch {
    size_t count = 0;
    std::deque<Awaited> awaited;
    absl::AnyInvocable<void(BatchResult)> done;
    RowSink sink;
    bool sink_full = false;
    uint64_t reads_before = 0;  // when it was sent
    BatchResult result;
    Result current;
    Result parse_error;
  };
  struct Kept {
    std::string name;  // on the server
    std::list<std::string>::iterator use;
  };
  struct HeldBack {
    std::vector<Statement> statements;
    absl::AnyInvocable<void(BatchResult)> done;
    RowSink sink;
  };

  void OnFdEvent(bool readable, bool writable) override;
  void PollConnect();
  void SetUpSession();
  void Connected(absl::Status status);
  [[nodiscard]] bool Send(const Statement& statement, Batch* batch);
  [[nodiscard]] bool SendKept(const Statement& statement, Batch* batch);
  // Sends the Parse of a statement that is to be kept, in the place of the one that was
  // not used for longest.
  [[nodiscard]] bool Keep(const std::string& key, const Statement& statement,
                          Batch* batch);
  void SendBatch(std::vector<Statement> statements,
                 absl::AnyInvocable<void(BatchResult)> done, RowSink sink);
  void OnReset(const BatchResult& r);
  [[nodiscard]] bool Consume();
  void CutOff();
  void AskForSingleRows(const Batch& batch);
  void GiveToSink(Batch* batch, const PGresult* row);
  void Flush();
  void ReadResults();
  void TakeResult(Result result);
  void EndStatement(Batch* batch);
  [[nodiscard]] bool EndHelper(Batch* batch, const Awaited& awaited, Result* result);
  void EndBatch();
  void Break(std::string why);
  [[nodiscard]] std::string ErrorMessage() const;

  rpc::EventLoop* const loop_;
  const ConnectionConfig config_;
  Counters* const counters_;
  State state_ = State::kNew;
  PGconn* pg_ = nullptr;
  std::unique_ptr<rpc::FdWatch> watch_;
  rpc::TimerId connect_timer_;
  absl::AnyInvocable<void(absl::Status)> connected_;
  absl::AnyInvocable<void()> on_broken_;
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
  bool plans_stale_ = false;
  Backend backend_;
  int server_version_ = 0;
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_CONNECTION_H_
