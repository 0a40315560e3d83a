// One connection to the server, by Connector/C's non-blocking functions on an event loop.
//
// A batch is one packet of several statements: one round trip. When a statement fails,
// the server skips the rest of the packet. What users write never stands in it as it is:
// a statement that is kept goes as PREPARE FROM 0x…, which takes exactly one statement,
// and EXECUTE USING literals (value.h), which hold nothing but digits. Batches that are
// run while one is under way wait for it.
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

// What a statement's `traits` say.
enum Trait : uint32_t {
  // Left out, and has no result, when the server keeps no binary log.
  kOnlyWithBinlog = 1,
  // A client's that changes rows: those that it returns are the ones it has changed.
  kWrites = 2,
  // A client's that may leave something in the session that the server does not tell of.
  kTaints = 4,
  // Our own, which the server reports as a change of the session's state.
  kChangesSession = 8,
  // Our own: its columns 1 and 2 say whether the server still reports such changes.
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
  Duration lock_timeout;
  Duration statement_timeout;
  // For branches at work: what is done outside of one is never committed by itself, and
  // the session has not got the role with the rights to Concordat's tables.
  bool for_work = false;
  // When set, and not empty: the session that must hold the serving lock.
  std::shared_ptr<const std::string> lock_holder;
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

class Connection final : public database::Session {
 public:
  Connection(rpc::EventLoop* loop, ConnectionConfig config, database::Counters* counters);
  ~Connection() override;

  // The server has let us in, whatever became of the session, or has said why not.
  [[nodiscard]] bool greeted() const { return greeted_; }
  // A batch was sent, and the session is set up: its answer is waited for.
  [[nodiscard]] bool waits() const {
    return state_ == State::kReady && running_ && connected_ == nullptr;
  }
  // Goes up with each batch that is begun, and with all that comes from the server.
  [[nodiscard]] uint64_t progress() const { return progress_; }

  // When the server has told of a change of the session, or the session is tainted, it is
  // reset and set up anew. Statements that could not be kept before are kept now.
  void Reset() override;
  // An INSERT has left its AUTO_INCREMENT value for LAST_INSERT_ID().
  [[nodiscard]] bool leaves_insert_id() const { return leaves_insert_id_; }
  void ForgetInsertId() { leaves_insert_id_ = false; }

 private:
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
    database::BatchDone done;
    std::shared_ptr<database::ClientRows> client_rows;
    std::string text;
    std::vector<Slot> slots;
    size_t next_slot = 0;
    bool gave_rows = false;  // the last statement that was answered has
    bool resets = false;     // COM_RESET_CONNECTION in the place of statements
    database::BatchResult result;
  };
  // The rows of the result that is being read.
  struct Reading {
    MYSQL_RES* result = nullptr;                 // null: none is
    uint64_t arrived = 0;                        // rows
    std::vector<std::vector<std::string>> rows;  // of our own statement
  };
  // A statement that is prepared on the server.
  struct Kept {
    std::string name;
    uint64_t used = 0;  // by which batch
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
  // session.cc
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
  // The statement whose rows are being read; none when they are not wanted.
  [[nodiscard]] std::optional<size_t> StatementBeingRead() const;
  void NoteSession(const Slot* slot, StatementResult* result);
  void ForgetSlots(const Batch& batch);
  [[nodiscard]] std::optional<Step> FetchDone();
  [[nodiscard]] std::optional<Step> NextStep();
  void OnReset();
  void CloseHandle();
  // `reading`: the rows it gave; null: it can give none.
  void TakeResult(Reading* reading);
  void TakeError();
  void EndBatch();
  void Fail();
  [[nodiscard]] std::string ErrorMessage() const;

  const ConnectionConfig config_;
  bool greeted_ = false;
  MYSQL* mysql_ = nullptr;
  std::deque<Batch> batches_;
  bool running_ = false;  // the first batch was sent
  uint64_t progress_ = 0;
  // The step under way.
  Step step_ = Step::kConnect;
  bool stepping_ = false;
  bool due_ = false;  // it is done, and will be looked at in a moment
  MYSQL* connect_result_ = nullptr;
  int int_result_ = 0;
  MYSQL_ROW row_result_ = nullptr;
  Reading reading_;
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
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_CONNECTION_H_
