// One connection to the server, by Connector/C's non-blocking functions on an event loop.
//
//   auto c = std::make_shared<Connection>(loop, config, &counters);
//   c->Connect([](absl::Status s) { ... });
//   c->Run({{"XA START 'a'"}, {"UPDATE t SET x=?", {"5"}, /*keep=*/true}},
//          [](BatchResult r) { ... });
//
// A batch is one packet of several statements: one round trip. When a statement fails,
// the server skips the rest of the packet. What users write never stands in it as it is:
// a statement that is kept goes as PREPARE FROM 0x…, which takes exactly one statement,
// and EXECUTE USING literals (value.h), which hold nothing but digits. Batches that are
// run while one is under way wait for it. All for the loop's thread. Callbacks may drop
// the connection.
#ifndef PARTICIPANT_MARIADB_CONNECTION_H_
#define PARTICIPANT_MARIADB_CONNECTION_H_

#include <mysql.h>

#include <atomic>
#include <cstdint>
#include <deque>
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
#include "participant/mariadb/address.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::mariadb {

struct Statement {
  // Our own words; or, with `keep`, a user's: one statement with a ? for each parameter.
  std::string sql;
  std::vector<std::string> params = {};  // literals (value.h)
  // Prepared once for each connection, and kept there under a name.
  bool keep = false;
  // Left out, and has no result, when the server keeps no binary log.
  bool only_with_binlog = false;
};

struct ClearResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using Rows = std::unique_ptr<MYSQL_RES, ClearResult>;

// What a statement gave.
struct Result {
  unsigned error = 0;  // the server's number; kSkipped
  std::string sqlstate;
  std::string message;
  Rows rows;             // when it has any, or could have had
  uint64_t changed = 0;  // rows, by a statement that gives none
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
  std::vector<Result> results;  // one a statement; empty when lost
  bool in_transaction = false;  // the session is, after the batch

  // The index of the first statement that failed, or results.size().
  [[nodiscard]] size_t FirstFailed() const;
  [[nodiscard]] bool ok() const { return !lost && FirstFailed() == results.size(); }
  // Of the first failure; 0 when there is none, or the connection was lost.
  [[nodiscard]] unsigned ErrorNumber() const;
  // Of the first failure, or of the loss: "1062 (23000): Duplicate entry …".
  [[nodiscard]] std::string Error() const;
};

// Which session of the server a connection has. Each holds a user lock with a name of its
// own, which is free when the session is over and has let go of its transaction; an id
// alone may be used again after a restart of the server.
struct Backend {
  std::string id;
  std::string lock;

  [[nodiscard]] bool is_none() const { return id.empty(); }
};

struct ConnectionConfig {
  Address address;
  std::string locks;  // what the names of the sessions' locks begin with
  std::shared_ptr<uint64_t> next_lock = std::make_shared<uint64_t>(0);
  Duration connect_timeout;
  Duration lock_timeout;
  Duration statement_timeout;
  // For branches at work: what is done outside of one is never committed by itself.
  bool autocommit = true;
  // When set, and not empty: the session that must hold the resource's lock (guard.h).
  std::shared_ptr<const std::string> guard_id;
};

// For a new handle.
void ApplyAddress(const Address& address, MYSQL* handle);
// Blocks. Null: the handle says why.
MYSQL* ConnectTo(const Address& address, MYSQL* handle);

// The names of user locks: "…#guard", and "…#0" to "…#9999" of sessions.
inline constexpr uint64_t kSessionLocks = 10'000;
[[nodiscard]] std::string GuardLock(std::string_view locks);

// Shared by all connections of a resource; read by any thread.
struct Counters {
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> round_trips{0};
  std::atomic<uint64_t> lost_ends{0};
  std::atomic<uint64_t> detached{0};
};

class Connection final : public std::enable_shared_from_this<Connection>,
                         public rpc::FdWatch::Handler {
 public:
  using Config = ConnectionConfig;  // for Pool
  using Counters = mariadb::Counters;

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

  // Batches are done in order. On a connection that is not alive: lost, at once.
  void Run(std::vector<Statement> statements, absl::AnyInvocable<void(BatchResult)> done);
  // Drops the connection; batches under way are lost.
  void Close(const std::string& why);
  // Called once when the connection breaks, after the batches have been called back.
  void OnBroken(absl::AnyInvocable<void()> listener) { on_broken_ = std::move(listener); }

  [[nodiscard]] const Backend& backend() const { return backend_; }

  // For the owner of the session: how many rows it had written (sql.h, WrittenRows) when
  // it was last asked and has written none since. Empty: not known.
  std::string written_rows;

 private:
  enum class State : uint8_t { kNew, kConnecting, kReady, kBroken };
  enum class Step : uint8_t { kConnect, kQuery, kStore, kNext };
  // Where the answer of a statement of the packet goes.
  struct Slot {
    size_t statement = 0;
    std::string prepares;  // the key of the statement that it prepares
    bool is_prepare = false;
  };
  struct Batch {
    std::vector<Statement> statements;
    absl::AnyInvocable<void(BatchResult)> done;
    std::string text;
    std::vector<Slot> slots;
    size_t next_slot = 0;
    BatchResult result;
  };

  void OnFdEvent(bool readable, bool writable) override;
  void Drive(int wanted);
  [[nodiscard]] int Begin(Step step);
  [[nodiscard]] int Continue(int ready);
  void Wait(int wanted);
  void Watch();
  void Unwatch();
  [[nodiscard]] std::optional<Step> StepDone();
  void BeginSoon(Step step);
  void OnConnectDone();
  void SetUpSession();
  void Connected(absl::Status status);
  void StartBatch();
  void Compose(Batch* batch);
  void ComposeKept(Batch* batch, size_t index);
  void TakeResult(Result result);
  void TakeError();
  [[nodiscard]] Result MakeResult(Rows rows);
  void EndBatch();
  void Break(std::string why);
  void Fail();
  [[nodiscard]] std::string ErrorMessage() const;

  rpc::EventLoop* const loop_;
  const ConnectionConfig config_;
  Counters* const counters_;
  State state_ = State::kNew;
  MYSQL* mysql_ = nullptr;
  std::unique_ptr<rpc::FdWatch> watch_;
  rpc::TimerId connect_timer_;
  absl::AnyInvocable<void(absl::Status)> connected_;
  absl::AnyInvocable<void()> on_broken_;
  std::deque<Batch> batches_;
  bool running_ = false;  // the first batch was sent
  // The step under way.
  Step step_ = Step::kConnect;
  bool stepping_ = false;
  bool due_ = false;  // it is done, and will be looked at in a moment
  MYSQL* connect_result_ = nullptr;
  int int_result_ = 0;
  MYSQL_RES* store_result_ = nullptr;
  absl::flat_hash_map<std::string, std::string> kept_;  // key -> name on the server
  uint64_t last_name_ = 0;
  bool binlog_ = true;  // the server keeps one, as far as is known
  Backend backend_;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_MARIADB_CONNECTION_H_
