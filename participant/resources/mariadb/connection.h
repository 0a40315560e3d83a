// One connection to the server, with Connector/C's non-blocking functions on an event
// loop.
//
// A batch is one packet of several statements, and one round trip. When a statement
// fails, the server skips the rest of the packet. The text of a user's statement is never
// a part of the packet as it is: it is sent as PREPARE FROM 0x…, which takes exactly one
// statement, and run with EXECUTE USING and literals that consist of digits (value.h).
// Batches that are run while another is under way wait for it.
#ifndef PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_
#define PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_

#include <mysql.h>

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
#include "participant/resources/database/session.h"
#include "participant/resources/mariadb/address.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::mariadb {

using database::SessionId;
using database::Statement;
using database::StatementResult;

// The bits of Statement::traits.
enum Trait : uint32_t {
  // The statement is left out, and has no result, when the server has no binary log.
  kOnlyWithBinlog = 1,
  // A client's statement that changes rows: the rows that it returns are those.
  kWrites = 2,
  // A client's statement that may leave something in the session that the server does not
  // report.
  kTaints = 4,
  // Our own statement, which the server reports as a change of the session's state.
  kChangesSession = 8,
  // Our own statement, whose columns 1 and 2 say whether the server still reports such
  // changes.
  kAsksReports = 16,
};
[[nodiscard]] inline bool Has(const Statement& statement, Trait trait) {
  return (statement.traits & trait) != 0;
}

class Connection;
using Connections = absl::flat_hash_set<Connection*>;

struct ConnectionConfig {
  Address address;
  database::Owner owner;
  Duration connect_timeout;
  Duration lock_timeout;       // how long a statement waits for a lock
  Duration statement_timeout;  // how long a statement may run
  // The session is for branches at work: nothing that runs outside of a branch is
  // committed automatically, and the session does not have the role with the rights to
  // Concordat's tables.
  bool for_work = false;
  // The id of the session that must hold the serving lock. Null or empty: none must.
  std::shared_ptr<const std::string> lock_holder;
  // Lists the connection for as long as it lives (answer_watch.h). Null: it is not
  // watched.
  std::shared_ptr<Connections> watched;
  // The session is used as the server gives it, and other processes do not learn of it.
  // For a single question.
  bool bare = false;
};

// Whether connecting may succeed another time: the server is starting, full or shutting
// down, or takes no writes at the moment. A password that is wrong now will stay wrong.
[[nodiscard]] bool MayWorkLater(unsigned error);

// Sets the options of a new handle.
void ApplyAddress(const Address& address, MYSQL* handle);
// Connects, and blocks meanwhile. Null: it has failed, and the handle has the error.
MYSQL* ConnectTo(const Address& address, MYSQL* handle);

class Connection final : public database::Session {
 public:
  Connection(rpc::EventLoop* loop, ConnectionConfig config, database::Counters* counters);
  ~Connection() override;

  // The server has accepted the connection, or has refused it with an error: it was
  // reached.
  [[nodiscard]] bool greeted() const { return greeted_; }
  // The session is set up, and waits for the answer to a batch.
  [[nodiscard]] bool waits() const {
    return state_ == State::kReady && running_ && connected_ == nullptr;
  }
  // Grows with each batch that is begun, and with everything that the server sends.
  [[nodiscard]] uint64_t progress() const { return progress_; }

  // Resets the session and sets it up again, if the server has reported a change of its
  // state or it is tainted. Then statements are prepared that could not be kept before.
  void Reset() override;
  // An INSERT has left an AUTO_INCREMENT value that LAST_INSERT_ID() returns.
  [[nodiscard]] bool leaves_insert_id() const { return leaves_insert_id_; }
  void ForgetInsertId() { leaves_insert_id_ = false; }

 private:
  enum class Step : uint8_t { kConnect, kReset, kQuery, kFetch, kNext };
  // A statement of the packet, and where its answer belongs.
  struct Slot {
    size_t statement = 0;  // its index in Batch::statements
    std::string prepares;  // the text of the statement that it prepares; empty: none
    std::string drops;     // the name of the statement that it drops; empty: none
    // It is a PREPARE or DEALLOCATE, whose answer is not among the results.
    [[nodiscard]] bool is_silent() const { return !prepares.empty() || !drops.empty(); }
  };
  struct Batch {
    std::vector<Statement> statements;
    database::BatchDone done;
    std::shared_ptr<database::ClientRows> client_rows;  // null: no client's rows
    std::string text;                                   // of the packet
    std::vector<Slot> slots;                            // in the order of the packet
    size_t next_slot = 0;                               // of the next answer
    bool gave_rows = false;  // the last statement that was answered returned rows
    bool resets = false;     // it is a COM_RESET_CONNECTION, without statements
    database::BatchResult result;
  };
  // The result that is being read.
  struct Reading {
    MYSQL_RES* result = nullptr;                 // null: no result is being read
    uint64_t arrived = 0;                        // number of rows so far
    std::vector<std::vector<std::string>> rows;  // of our own statement
  };
  // A statement that is prepared on the server.
  struct Kept {
    std::string name;   // on the server
    uint64_t used = 0;  // the number of the last batch that used it
  };

  void BeginConnect() override;
  void Send(std::vector<Statement> statements, database::BatchDone done,
            std::shared_ptr<database::ClientRows> rows) override;
  std::vector<Owed> Drop() override;
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
  // --- in session.cc
  [[nodiscard]] std::vector<Statement> SetUpStatements(bool first) const;
  void SetUpSession();
  [[nodiscard]] absl::Status TakeSession(const database::BatchResult& r,
                                         const std::string& lock_holder);
  void StartBatch();
  void Compose(Batch* batch);
  void ComposeKept(Batch* batch, size_t index);
  void PrepareAhead(Batch* batch, size_t first);
  void Prepare(Batch* batch, size_t index, const std::string& sql);
  [[nodiscard]] bool MakeRoomToKeep(const std::string& sql);
  void KeepWanted();
  void TakeColumns();
  void TakeRow();
  // The index of the statement whose rows are being read. None: they are not wanted.
  [[nodiscard]] std::optional<size_t> StatementBeingRead() const;
  void NoteSession(const Slot* slot, StatementResult* result);
  void ForgetSlots(const Batch& batch);
  [[nodiscard]] std::optional<Step> FetchDone();
  [[nodiscard]] std::optional<Step> NextStep();
  void OnReset();
  void CloseHandle();
  // `reading`: the rows that the statement returned. Null: it returns none.
  void TakeResult(Reading* reading);
  void TakeError();
  void EndBatch();
  void Fail();
  [[nodiscard]] std::string ErrorMessage() const;

  const ConnectionConfig config_;
  bool greeted_ = false;       // see greeted()
  MYSQL* mysql_ = nullptr;     // null: not connected, or closed
  std::deque<Batch> batches_;  // the first one is under way, or is to be sent next
  bool running_ = false;       // the first batch was sent
  uint64_t progress_ = 0;      // see progress()
  // The step of Connector/C that is under way, and the results of such steps.
  Step step_ = Step::kConnect;
  bool stepping_ = false;
  bool due_ = false;                 // it has ended, and will be handled in a moment
  MYSQL* connect_result_ = nullptr;  // null: it has failed
  int int_result_ = 0;               // 0: OK
  MYSQL_ROW row_result_ = nullptr;   // null: there are no more rows
  Reading reading_;
  absl::flat_hash_map<std::string, Kept> kept_;  // by text
  size_t kept_bytes_ = 0;                        // of their texts
  std::vector<std::string> drops_;   // names of statements that are to be dropped
  std::vector<std::string> wanted_;  // texts that are to be kept
  uint64_t last_name_ = 0;           // the number in the last name of a kept statement
  uint64_t last_batch_ = 0;          // the number of the last batch
  bool tainted_ = false;             // something may be left in the session (kTaints)
  // A user's statement has returned rows, and the server has not reported since whether
  // it has changed the session.
  bool unreported_ = false;
  bool leaves_insert_id_ = false;  // see leaves_insert_id()
  bool binlog_ = true;             // the server has a binary log, as far as is known
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_
