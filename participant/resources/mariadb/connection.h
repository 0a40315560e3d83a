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
#ifndef PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_
#define PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_

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
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "participant/resources/mariadb/address.h"
#include "participant/resources/mariadb/owner.h"
#include "participant/resources/mariadb/result.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::mariadb {

// Which session of the server a connection has. It is in the server's list of sessions
// until it has let go of its transaction. Ids are used again after a restart of the
// server, so it counts when that was.
struct Backend {
  std::string id;
  std::string server_start;  // seconds since 1970

  [[nodiscard]] bool is_none() const { return id.empty(); }
};

class Connection;
using Connections = absl::flat_hash_set<Connection*>;

struct ConnectionConfig {
  Address address;
  Owner owner;
  Duration connect_timeout;
  Duration lock_timeout;
  Duration statement_timeout;
  // For branches at work: what is done outside of one is never committed by itself, and
  // the session has not got the role with the rights to Concordat's tables.
  bool for_work = false;
  // What the users' statements of one batch may return; the rest is read and dropped.
  uint64_t max_result_bytes = 0;
  uint64_t max_result_rows = 0;  // of one statement
  uint64_t max_result_values = 0;
  // When set, and not empty: the session that must hold the resource's lock (guard.h).
  std::shared_ptr<const std::string> guard_id;
  // When set: where the connection is listed for as long as it lives (answer_watch.h).
  std::shared_ptr<Connections> watched;
  // The session is used as the server gives it, and is not announced: for a question.
  bool bare = false;
};

// The server may take us the next time: it is starting, full, shutting down, or takes no
// writes for the moment. A password that is wrong now will be wrong again.
[[nodiscard]] bool MayWorkLater(unsigned error);

// For a new handle.
void ApplyAddress(const Address& address, MYSQL* handle);
// Blocks. Null: the handle says why.
MYSQL* ConnectTo(const Address& address, MYSQL* handle);

// Shared by all connections of a resource; read by any thread.
struct Counters {
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> round_trips{0};
  std::atomic<uint64_t> lost_ends{0};
  std::atomic<uint64_t> detached{0};
  std::atomic<uint64_t> resets{0};
  std::atomic<uint64_t> left_undone{0};
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
  // The server has let us in, whatever became of the session, or has said why not.
  [[nodiscard]] bool greeted() const { return greeted_; }
  [[nodiscard]] bool busy() const { return !batches_.empty(); }
  // A batch was sent, and the session is set up: its answer is waited for.
  [[nodiscard]] bool waits() const {
    return state_ == State::kReady && running_ && connected_ == nullptr;
  }
  // Goes up with each batch that is begun, and with all that comes from the server.
  [[nodiscard]] uint64_t progress() const { return progress_; }

  // Batches are done in order. On a connection that is not alive: lost, at once.
  void Run(std::vector<Statement> statements, absl::AnyInvocable<void(BatchResult)> done);
  // Drops the connection; batches under way are lost.
  void Close(const std::string& why);
  // Called once when the connection breaks, after the batches have been called back.
  void OnBroken(absl::AnyInvocable<void()> listener) { on_broken_ = std::move(listener); }

  [[nodiscard]] const Backend& backend() const { return backend_; }

  // Between two branches, when no batch is under way. What a branch may have left in the
  // session is gone before the next batch: when the server has told of a change, or the
  // session is tainted, it is reset and set up anew. Statements that could not be kept
  // before are kept now.
  void Recycle();
  // An INSERT has left its AUTO_INCREMENT value for LAST_INSERT_ID().
  [[nodiscard]] bool leaves_insert_id() const { return leaves_insert_id_; }
  void ForgetInsertId() { leaves_insert_id_ = false; }

  // For the owner of the session: how many rows it had written (sql.h, WrittenRows) when
  // it was last asked and has written none since. Empty: not known.
  std::string written_rows;

 private:
  enum class State : uint8_t { kNew, kConnecting, kReady, kBroken };
  enum class Step : uint8_t { kConnect, kReset, kQuery, kFetch, kNext };
  // Where the answer of a statement of the packet goes.
  struct Slot {
    size_t statement = 0;
    std::string prepares;  // the text of the statement that it prepares
    std::string drops;     // the name of the one that it drops
    // PREPARE and DEALLOCATE, which have no place among the results.
    [[nodiscard]] bool is_silent() const { return !prepares.empty() || !drops.empty(); }
  };
  struct Batch {
    std::vector<Statement> statements;
    absl::AnyInvocable<void(BatchResult)> done;
    std::string text;
    std::vector<Slot> slots;
    size_t next_slot = 0;
    uint64_t bytes = 0;  // of users' rows so far
    uint64_t values = 0;
    bool resets = false;  // COM_RESET_CONNECTION in the place of statements
    BatchResult result;
  };
  // A statement that is prepared on the server.
  struct Kept {
    std::string name;
    uint64_t used = 0;  // by which batch
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
  // session.cc
  [[nodiscard]] std::vector<Statement> SetUpStatements(bool first) const;
  void SetUpSession();
  [[nodiscard]] absl::Status TakeSession(const BatchResult& r, const std::string& guard);
  void Connected(absl::Status status);
  void StartBatch();
  void Compose(Batch* batch);
  void ComposeKept(Batch* batch, size_t index);
  void PrepareAhead(Batch* batch, size_t first);
  void Prepare(Batch* batch, size_t index, const std::string& sql);
  [[nodiscard]] bool MakeRoomToKeep(const std::string& sql);
  void KeepWanted();
  void TakeRow();
  void NoteSession(const Slot* slot, Result* result);
  void ForgetSlots(const Batch& batch);
  [[nodiscard]] std::optional<Step> FetchDone();
  [[nodiscard]] std::optional<Step> NextStep();
  void OnReset();
  void CloseHandle();
  void TakeResult(Rows rows);
  void TakeError();
  void EndBatch();
  void Break(std::string why);
  void Fail();
  [[nodiscard]] std::string ErrorMessage() const;

  rpc::EventLoop* const loop_;
  const ConnectionConfig config_;
  Counters* const counters_;
  State state_ = State::kNew;
  bool greeted_ = false;
  MYSQL* mysql_ = nullptr;
  std::unique_ptr<rpc::FdWatch> watch_;
  rpc::TimerId connect_timer_;
  absl::AnyInvocable<void(absl::Status)> connected_;
  absl::AnyInvocable<void()> on_broken_;
  std::deque<Batch> batches_;
  bool running_ = false;  // the first batch was sent
  uint64_t progress_ = 0;
  // The step under way.
  Step step_ = Step::kConnect;
  bool stepping_ = false;
  bool due_ = false;  // it is done, and will be looked at in a moment
  MYSQL* connect_result_ = nullptr;
  int int_result_ = 0;
  MYSQL_RES* fetching_ = nullptr;  // rows are read from it
  MYSQL_ROW row_result_ = nullptr;
  Rows rows_;  // of it, so far
  absl::flat_hash_map<std::string, Kept> kept_;
  size_t kept_bytes_ = 0;            // of their texts
  std::vector<std::string> drops_;   // names that are to be dropped
  std::vector<std::string> wanted_;  // texts that are to be kept
  uint64_t last_name_ = 0;
  uint64_t last_batch_ = 0;
  bool tainted_ = false;
  // A user's statement has given rows, and the server has not told since whether it has
  // changed the session.
  bool unreported_ = false;
  bool leaves_insert_id_ = false;
  bool binlog_ = true;  // the server keeps one, as far as is known
  Backend backend_;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_
