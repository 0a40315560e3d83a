// Sets the session of a connection up, and resets it between two branches.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/resources/mariadb/schema.h"
#include "participant/resources/mariadb/statements.h"

namespace concordat::participant::mariadb {

using database::BatchResult;

namespace {

// The indexes of two statements of the set-up.
constexpr size_t kTakeRole = 2, kAnnounce = 3;
constexpr unsigned kBinlogFormatRefused = 1665;

std::string Seconds(Duration time, int64_t least) {
  return absl::StrCat(std::max(least, (time.millis() + 999) / 1000));
}

Statement Changes(std::string sql) {
  Statement statement{std::move(sql)};
  statement.traits = kChangesSession;
  return statement;
}

absl::Status SetUpFailed(const BatchResult& r) {
  if (r.lost) return absl::UnavailableError(r.Error());
  if (MayWorkLater(r.Failure()->number)) {
    return absl::UnavailableError(absl::StrCat(
        r.Error(),
        r.FirstFailed() == kAnnounce
            ? "; the server takes no writes now (FLUSH TABLES WITH READ LOCK, a backup, "
              "read_only)"
            : ""));
  }
  if (r.Failure()->number == kBinlogFormatRefused) {
    return absl::FailedPreconditionError(
        "binlog_format is STATEMENT, which InnoDB refuses for read-committed: SET GLOBAL "
        "binlog_format=ROW, and the same in the configuration");
  }
  const std::string error = absl::StrCat("the session cannot be set up: ", r.Error());
  if (r.FirstFailed() != kTakeRole && r.FirstFailed() != kAnnounce) {
    return absl::FailedPreconditionError(error);
  }
  return absl::FailedPreconditionError(
      absl::StrCat(error, ". Make Concordat's tables and the role ", kRole,
                   " with \"concordat-rm init URL\", as an administrator, and GRANT ",
                   kRole, " TO the user in the URL"));
}

absl::Status Interrupted() {
  return absl::UnavailableError("the session's set-up was interrupted");
}

}  // namespace

// Settings that the session needs, whatever the server's configuration says. The session
// writes its row in concordat.sessions before it looks at the serving lock: see
// participant/resources/database/serving_lock.h.
std::vector<Statement> Connection::SetUpStatements(bool first) const {
  const std::string wait = Seconds(config_.lock_timeout, 1);
  std::vector<Statement> set_up;
  set_up.push_back(Changes("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"));
  set_up.push_back(Changes(
      absl::StrCat("SET SESSION sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
                   "NO_ENGINE_SUBSTITUTION',autocommit=1,completion_type=NO_CHAIN,"
                   "session_track_transaction_info='STATE',session_track_state_change=1,"
                   "session_track_schema=0,wait_timeout=31536000,foreign_key_checks=1,"
                   "unique_checks=1,last_insert_id=0,innodb_lock_wait_timeout=",
                   wait, ",lock_wait_timeout=", wait,
                   ",max_statement_time=", Seconds(config_.statement_timeout, 0),
                   ",tx_isolation='READ-COMMITTED',tx_read_only=0")));
  set_up.push_back(TakeRole());
  if (first) set_up.push_back(AnnounceSession(config_.owner));
  set_up.push_back({absl::StrCat(
      "SELECT CONNECTION_ID(),", kServerStart,
      ",@@global.log_bin,CONCAT_WS(',',@@character_set_client,@@character_set_results,"
      "@@collation_connection),IS_USED_LOCK('",
      ServingLockName(config_.owner), "')")});
  if (config_.for_work) {
    set_up.push_back(DropRole());
    set_up.push_back(Changes("SET SESSION autocommit=0"));
  }
  return set_up;
}

absl::Status Connection::TakeSession(const BatchResult& r,
                                     const std::string& lock_holder) {
  if (!r.ok()) return SetUpFailed(r);
  const auto asked =
      std::find_if(r.results.begin(), r.results.end(),
                   [](const StatementResult& result) { return !result.rows.empty(); });
  // A cancel request for the call that waits for the set-up has interrupted the set-up.
  if (asked == r.results.end()) return Interrupted();
  const std::string charset(asked->Field(0, 3));
  if (charset != "utf8mb4,utf8mb4,utf8mb4_general_ci") {
    return absl::FailedPreconditionError(absl::StrCat(
        "the server does not let a session use utf8mb4: SET NAMES has given ", charset));
  }
  if (!lock_holder.empty() && asked->Field(0, 4) != lock_holder) {
    return absl::UnavailableError(
        "the lock that makes this process the only one for the resource is lost");
  }
  if (asked->Field(0, 0).empty() || asked->Field(0, 1).empty()) return Interrupted();
  id_.id = std::string(asked->Field(0, 0));
  id_.start = std::string(asked->Field(0, 1));
  binlog_ = asked->Field(0, 2) != "0";
  tainted_ = false;
  return absl::OkStatus();
}

void Connection::SetUpSession() {
  state_ = State::kReady;
  greeted_ = true;
  if (config_.bare) return Connected(absl::OkStatus());
  const std::string holder = config_.lock_holder == nullptr ? "" : *config_.lock_holder;
  Run(SetUpStatements(/*first=*/true), [this, holder](const BatchResult& r) {
    absl::Status status = TakeSession(r, holder);
    if (status.ok()) counters_->connects.fetch_add(1, std::memory_order_relaxed);
    Connected(std::move(status));
  });
}

// --- between two branches ---

void Connection::Reset() {
  if (tainted_) {
    written.clear();  // the server's counters begin at 0 again
    batches_.emplace_back().resets = true;
    batches_.back().done = [](const BatchResult&) {};
    if (batches_.size() == 1) StartBatch();
    return Run(SetUpStatements(/*first=*/false), [this](const BatchResult& r) {
      const absl::Status status = TakeSession(r, "");
      if (!status.ok()) Close(std::string(status.message()));
    });
  }
  KeepWanted();
}

void Connection::OnReset() {
  counters_->resets.fetch_add(1, std::memory_order_relaxed);
  kept_.clear();
  kept_bytes_ = 0;
  drops_.clear();
  tainted_ = unreported_ = leaves_insert_id_ = false;
  EndBatch();
}

}  // namespace concordat::participant::mariadb
