#include "participant/resources/postgresql/connection.h"

#include <sys/ioctl.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "participant/resources/postgresql/value.h"

namespace concordat::participant::postgresql {

using database::BatchDone;
using database::BatchResult;
using database::ClientRows;
using database::Param;
using database::TransactionState;

namespace {

// Stands for an SQLSTATE where the statement was skipped.
constexpr std::string_view kSkipped = "-----";
constexpr size_t kMaxKept = 128;
// Before version 14 a backend that waits for a lock does not notice that its client is
// gone.
constexpr int kMinimumVersion = 140000;

std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// The types of the parameters are a part of the key, because the same statement may be
// run with other types the next time.
std::string KeyOf(const Statement& statement) {
  std::string key;
  for (const Param& p : statement.params) key.push_back(p.type == 0 ? 't' : 'b');
  return absl::StrCat(key, " ", statement.sql);
}

struct ParamArrays {
  explicit ParamArrays(const std::vector<Param>& params) {
    for (const Param& p : params) {
      types.push_back(p.type);
      values.push_back(p.value ? p.value->c_str() : nullptr);
      lengths.push_back(p.value ? static_cast<int>(p.value->size()) : 0);
      formats.push_back(p.binary ? 1 : 0);
    }
  }
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
};

void LogNotice(void* /*connection*/, const PGresult* result) {
  if (!LogEnabled(Level::kDebug)) return;
  LogEvent(Level::kDebug, "postgresql notice")
      .Field("message", OneLine(PQresultErrorMessage(result)));
}

bool EndsSession(const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity != nullptr &&
         (std::string_view(severity) == "FATAL" || std::string_view(severity) == "PANIC");
}

// Whether the error says that a kept statement cannot be used any more: the tables have
// changed, or a client's code has dropped it (DEALLOCATE in a function).
bool IsStale(const PGresult* result) {
  const std::string state = SqlState(result);
  if (state == "26000") return PQresultErrorField(result, PG_DIAG_CONTEXT) == nullptr;
  return state == "0A000" &&
         absl::StrContains(PQresultErrorMessage(result), "cached plan");
}

// Settings that the session needs, whatever the server's configuration says. As start-up
// options they are the values to which RESET returns. Texts are UTF-8, and numbers have
// one form. A backend whose client is gone ends soon, also while it waits for a lock. A
// new statement sees what was committed before it, which LookUp relies on.
std::string SessionOptions(const ConnectionConfig& config) {
  return absl::StrCat(
      "-c bytea_output=hex -c extra_float_digits=1"
      " -c default_transaction_isolation=read\\ committed"
      " -c client_connection_check_interval=500"
      " -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0",
      " -c lock_timeout=", config.lock_timeout.millis(),
      " -c statement_timeout=", config.statement_timeout.millis(),
      config.for_clients ? "" : " -c search_path=pg_catalog");
}

TransactionState StateOf(PGTransactionStatusType status) {
  switch (status) {
    case PQTRANS_IDLE:
      return TransactionState::kNone;
    case PQTRANS_INTRANS:
      return TransactionState::kOpen;
    case PQTRANS_INERROR:
      return TransactionState::kFailed;
    default:
      return TransactionState::kUnknown;
  }
}

// The `options` parameter of the URL.
std::string OptionsOf(const std::string& url) {
  PQconninfoOption* parsed = PQconninfoParse(url.c_str(), nullptr);
  std::string options;
  for (const PQconninfoOption* o = parsed; o != nullptr && o->keyword != nullptr; ++o) {
    if (std::string_view(o->keyword) == "options" && o->val != nullptr) options = o->val;
  }
  PQconninfoFree(parsed);
  return options;
}

// A commit that was answered must be on disk. Where a branch ends, add_evidence
// (schema.h) ensures that.
constexpr char kSetUp[] =
    "SELECT pid, extract(epoch FROM backend_start),"
    " $1::text='' OR EXISTS(SELECT 1 FROM pg_locks WHERE locktype='advisory'"
    "  AND granted AND pid::text=$1),"
    " CASE WHEN current_setting('synchronous_commit')='off'"
    "  THEN set_config('synchronous_commit','on',false) END"
    " FROM pg_stat_activity WHERE pid=pg_backend_pid()";

// Statements that run while the session is not for clients have pg_catalog as their
// search_path. The role may have set another one, with operators of its own in it.
std::vector<Statement> SetUpStatements(const ConnectionConfig& config) {
  std::vector<Statement> batch;
  batch.push_back({"SET search_path TO pg_catalog"});
  batch.push_back(
      {kSetUp, {Text(config.lock_holder == nullptr ? "" : *config.lock_holder)}});
  if (config.opening.has_value()) batch.push_back(*config.opening);
  if (config.for_clients) batch.push_back({"RESET search_path"});
  return batch;
}

// The status for a message that contains the SQLSTATE ("FATAL:  28P01: password …
// LOCATION: …").
absl::Status WhyNotConnected(std::string message) {
  if (const size_t end = message.find(" LOCATION:"); end != message.npos) {
    message.resize(end);
  }
  if (message.find("unrecognized configuration parameter") != message.npos) {
    return absl::FailedPreconditionError(absl::StrCat(
        "at least PostgreSQL 14 is needed: upgrade the server (", message, ")"));
  }
  // Wrong password, no such role, no line in pg_hba.conf, no such database: this will be
  // so the next time too.
  for (const std::string_view state : {":  28000: ", ":  28P01: ", ":  3D000: "}) {
    if (message.find(state) != message.npos) {
      return absl::FailedPreconditionError(std::move(message));
    }
  }
  return absl::UnavailableError(std::move(message));
}

}  // namespace

std::string SqlState(const PGresult* result) {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
      return "";
    case PGRES_PIPELINE_ABORTED:
      return std::string(kSkipped);
    case PGRES_EMPTY_QUERY:
      return "42601";  // syntax_error
    default:
      break;
  }
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? "08000" : state;
}

std::string ErrorText(const PGresult* result) {
  if (PQresultStatus(result) == PGRES_EMPTY_QUERY) return "an empty statement";
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char* detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  std::string text = message != nullptr ? message : PQresultErrorMessage(result);
  if (detail != nullptr) absl::StrAppend(&text, " (", detail, ")");
  return OneLine(absl::StrCat(SqlState(result), ": ", text));
}

std::string_view Field(const PGresult* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<size_t>(PQgetlength(result, row, column))};
}

Connection::Connection(rpc::EventLoop* loop, ConnectionConfig config,
                       database::Counters* counters)
    : Session(loop, config.connect_timeout, counters), config_(std::move(config)) {}

Connection::~Connection() {
  watch_.reset();
  PQfinish(pg_);
}

std::string Connection::ErrorMessage() const { return OneLine(PQerrorMessage(pg_)); }

// --- connecting ---

void Connection::BeginConnect() {
  // Parameters before the URL are defaults, and parameters after it override it.
  const std::string options =
      absl::StrCat(OptionsOf(config_.url), " ", SessionOptions(config_));
  const char* const names[] = {"keepalives_idle",
                               "keepalives_interval",
                               "keepalives_count",
                               "tcp_user_timeout",
                               "dbname",
                               "application_name",
                               "client_encoding",
                               "options",
                               nullptr};
  const char* const values[] = {"10",
                                "5",
                                "3",
                                "15000",
                                config_.url.c_str(),
                                config_.application_name.c_str(),
                                "UTF8",
                                options.c_str(),
                                nullptr};
  pg_ = PQconnectStartParams(names, values, /*expand_dbname=*/1);
  CONCORDAT_CHECK(pg_ != nullptr) << "out of memory";
  if (PQstatus(pg_) == CONNECTION_BAD) {
    return Connected(absl::UnavailableError(ErrorMessage()));
  }
  PQsetNoticeReceiver(pg_, LogNotice, nullptr);
  PQsetErrorVerbosity(pg_, PQERRORS_VERBOSE);  // for WhyNotConnected
  watch_ = std::make_unique<rpc::FdWatch>(loop_, PQsocket(pg_), this);
  watch_->WatchWrite(true);  // as the manual of PQconnectStart says
}

void Connection::PollConnect() {
  watch_.reset();  // the call may change the descriptor
  const PostgresPollingStatusType wanted = PQconnectPoll(pg_);
  if (wanted == PGRES_POLLING_FAILED) return Connected(WhyNotConnected(ErrorMessage()));
  watch_ = std::make_unique<rpc::FdWatch>(loop_, PQsocket(pg_), this);
  if (wanted != PGRES_POLLING_OK) {
    watch_->WatchRead(wanted == PGRES_POLLING_READING);
    watch_->WatchWrite(wanted == PGRES_POLLING_WRITING);
    return;
  }
  watch_->WatchRead(true);
  PQsetErrorVerbosity(pg_, PQERRORS_DEFAULT);
  const int version = PQserverVersion(pg_);
  if (version < kMinimumVersion) {
    return Connected(absl::FailedPreconditionError(
        absl::StrCat("the server is PostgreSQL ", version / 10000,
                     "; at least 14 is needed: upgrade it")));
  }
  if (PQsetnonblocking(pg_, 1) != 0 || PQenterPipelineMode(pg_) != 1) {
    return Connected(absl::UnavailableError(ErrorMessage()));
  }
  SetUpSession();
}

void Connection::SetUpSession() {
  state_ = State::kReady;
  Run(SetUpStatements(config_), [this](BatchResult r) {
    if (!r.ok() || r.results[1].rows.size() != 1) {
      return Connected(r.lost ? absl::UnavailableError(r.Error())
                              : absl::FailedPreconditionError(absl::StrCat(
                                    "the session cannot be set up: ", r.Error())));
    }
    const StatementResult& row = r.results[1];
    if (row.Field(0, 2) != "t") {
      return Connected(absl::UnavailableError(
          "the lock that makes this process the only one for the resource is lost"));
    }
    id_.id = std::string(row.Field(0, 0));
    id_.start = std::string(row.Field(0, 1));
    counters_->connects.fetch_add(1, std::memory_order_relaxed);
    Connected(absl::OkStatus());
  });
}

// --- sending ---

void Connection::Send(std::vector<Statement> statements, BatchDone done,
                      std::shared_ptr<ClientRows> rows) {
  counters_->statements.fetch_add(statements.size(), std::memory_order_relaxed);
  counters_->round_trips.fetch_add(1, std::memory_order_relaxed);
  if (resetting_) {
    held_back_.push_back({std::move(statements), std::move(done), std::move(rows)});
    return;
  }
  SendBatch(std::move(statements), std::move(done), std::move(rows));
}

void Connection::SendBatch(std::vector<Statement> statements, BatchDone done,
                           std::shared_ptr<ClientRows> rows) {
  is_reset_ = false;
  Batch& batch = batches_.emplace_back();
  batch.count = statements.size();
  batch.done = std::move(done);
  batch.rows = std::move(rows);
  batch.reads_before = reads_;
  bool sent = true;
  for (const Statement& statement : statements) sent = sent && SendOne(statement, &batch);
  sent = sent && PQpipelineSync(pg_) == 1;
  if (sent) return Flush();
  // Later, because the caller does not expect to be called back from here.
  loop_->Defer([this, self = shared_from_this(), why = ErrorMessage()] { Break(why); });
}

bool Connection::SendOne(const Statement& statement, Batch* batch) {
  if (statement.keep || statement.client) return SendKept(statement, batch);
  const ParamArrays p(statement.params);
  Awaited& awaited = batch->awaited.emplace_back();
  if ((statement.traits & kTagged) != 0) awaited.tag = statement.sql;
  awaited.tells_whether_reset = (statement.traits & kTellsWhetherReset) != 0;
  return PQsendQueryParams(pg_, statement.sql.c_str(), static_cast<int>(p.types.size()),
                           p.types.data(), p.values.data(), p.lengths.data(),
                           p.formats.data(), /*resultFormat=*/0) == 1;
}

bool Connection::SendKept(const Statement& statement, Batch* batch) {
  const std::string key = KeyOf(statement);
  auto known = kept_.find(key);
  if (known == kept_.end()) {
    if (!Keep(key, statement, batch)) return false;
    known = kept_.find(key);
  }
  uses_.splice(uses_.begin(), uses_, known->second.use);
  batch->awaited.push_back({.client = statement.client});
  const ParamArrays p(statement.params);
  return PQsendQueryPrepared(pg_, known->second.name.c_str(),
                             static_cast<int>(p.types.size()), p.values.data(),
                             p.lengths.data(), p.formats.data(),
                             /*resultFormat=*/0) == 1;
}

bool Connection::Keep(const std::string& key, const Statement& statement, Batch* batch) {
  if (kept_.size() >= kMaxKept) {
    const auto oldest = kept_.find(uses_.back());
    const std::string sql = absl::StrCat("DEALLOCATE ", oldest->second.name);
    kept_.erase(oldest);
    uses_.pop_back();
    batch->awaited.push_back({.kind = Awaited::Kind::kDeallocate});
    if (PQsendQueryParams(pg_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) !=
        1) {
      return false;
    }
  }
  uses_.push_front(key);
  const Kept& kept =
      kept_.try_emplace(key, Kept{absl::StrCat("c", ++last_name_), uses_.begin()})
          .first->second;
  batch->awaited.push_back({.kind = Awaited::Kind::kParse, .key = key});
  const ParamArrays p(statement.params);
  return PQsendPrepare(pg_, kept.name.c_str(), statement.sql.c_str(),
                       static_cast<int>(p.types.size()), p.types.data()) == 1;
}

// --- between branches ---

void Connection::Reset() {
  if (state_ != State::kReady || is_reset_) return;
  resetting_ = true;
  // Resets the session, and returns one row: whether that was possible.
  SendBatch(
      {{"SET SESSION AUTHORIZATION DEFAULT"},
       {"SELECT concordat.reset_session($1)", {Text(absl::StrCat(kept_.size()))}}},
      [this, self = shared_from_this()](const BatchResult& r) { OnReset(r); }, nullptr);
}

void Connection::OnReset(const BatchResult& r) {
  resetting_ = false;
  if (r.lost) return;
  if (!r.ok() || r.results.back().Field(0, 0) != "t") {
    LogEvent(Level::kDebug, "a session is not used again")
        .Field("session", id_.id)
        .Field("error", r.ok() ? "its prepared statements were changed" : r.Error());
    return Break("the session could not be made ready for the next branch");
  }
  while (PGnotify* notify = PQnotifies(pg_)) PQfreemem(notify);
  std::deque<HeldBack> waiting = std::move(held_back_);
  held_back_.clear();
  for (HeldBack& batch : waiting) {
    SendBatch(std::move(batch.statements), std::move(batch.done), std::move(batch.rows));
  }
}

void Connection::Flush() {
  const int left = PQflush(pg_);
  if (left < 0) {
    loop_->Defer([this, self = shared_from_this(), why = ErrorMessage()] { Break(why); });
    return;
  }
  watch_->WatchWrite(left == 1);
}

// --- reading ---

void Connection::OnFdEvent(bool readable, bool writable) {
  const auto self = shared_from_this();
  if (state_ == State::kConnecting) return PollConnect();
  if (state_ != State::kReady) return;
  if (writable) Flush();
  const bool open = !readable || Consume();
  if (unanswered_bytes_ > kMaxRowBytes) return CutOff();
  ReadResults();
  if (state_ != State::kReady) return;
  if (batches_.empty()) paced_read_.Close();
  if (!open || PQstatus(pg_) == CONNECTION_BAD) {
    Break(paced_read_.error().empty() ? ErrorMessage() : paced_read_.error());
  }
}

// The first piece of an answer is not longer than the buffer that libpq has. The rest is
// read in steps that are small enough for a row to be cut off.
bool Connection::Consume() {
  const bool more = !batches_.empty() && batches_.front().reads_before < reads_;
  ++reads_;
  if (more) return paced_read_.Consume(pg_, &unanswered_bytes_);
  int waiting = 0;
  if (ioctl(PQsocket(pg_), FIONREAD, &waiting) == 0) unanswered_bytes_ += waiting;
  return PQconsumeInput(pg_) == 1;
}

// libpq holds a row back until the whole of it has arrived.
void Connection::CutOff() {
  if (!batches_.empty()) batches_.front().row_too_large = true;
  Break(absl::StrCat("a row was larger than ", kMaxRowBytes >> 20, " MiB"));
}

void Connection::ReadResults() {
  // After its last batch a connection has no more results, and PQgetResult would return
  // null for ever.
  while (state_ == State::kReady && !batches_.empty()) {
    AskForSingleRows(batches_.front());
    if (PQisBusy(pg_) != 0 || PQstatus(pg_) == CONNECTION_BAD) return;
    Result result(PQgetResult(pg_));
    if (result != nullptr) unanswered_bytes_ = 0;
    TakeResult(std::move(result));
  }
}

// Has to be called for each statement, after the one before it has ended and before libpq
// has read any of its rows. Later it has no effect.
void Connection::AskForSingleRows(const Batch& batch) {
  if (batch.current != nullptr || batch.awaited.empty()) return;
  if (batch.awaited.front().client) PQsetSingleRowMode(pg_);
}

void Connection::TakeResult(Result result) {
  Batch& batch = batches_.front();
  if (result == nullptr) {
    if (batch.current != nullptr) EndStatement(&batch);
    return;
  }
  if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return EndBatch();
  if (PQresultStatus(result.get()) == PGRES_SINGLE_TUPLE) {
    return GiveRow(&batch, result.get());
  }
  // The server's last message, or libpq's own about the end of the session, may come when
  // all statements were answered.
  if (EndsSession(result.get()) || batch.awaited.empty()) {
    return Break(ErrorText(result.get()));
  }
  batch.current = std::move(result);
}

void Connection::GiveRow(Batch* batch, const PGresult* row) {
  if (batch->rows == nullptr || batch->rows->is_closed()) return;
  const size_t statement = batch->result.results.size();
  TakeColumns(row, statement, batch->rows.get());
  batch->rows->Add(statement, RowToWire(row));
}

void Connection::EndStatement(Batch* batch) {
  Result result = std::move(batch->current);
  CONCORDAT_CHECK(!batch->awaited.empty()) << "more answers than statements";
  const Awaited awaited = std::move(batch->awaited.front());
  batch->awaited.pop_front();
  if (EndHelper(batch, awaited, &result)) return;
  spent_ = spent_ || IsStale(result.get());
  if (batch->parse_error != nullptr) result = std::move(batch->parse_error);
  batch->result.results.push_back(TakeAnswer(batch, awaited, result.get()));
}

StatementResult Connection::TakeAnswer(Batch* batch, const Awaited& awaited,
                                       const PGresult* result) {
  StatementResult answer;
  answer.sqlstate = SqlState(result);
  const std::string_view tag = PQcmdStatus(const_cast<PGresult*>(result));
  if (answer.sqlstate.empty() && !awaited.tag.empty() &&
      awaited.tag.substr(0, tag.size()) != tag) {
    answer.sqlstate = kInFailedTransaction;
    answer.state = StatementResult::State::kFailed;
    answer.error = absl::StrCat("the server answered ", std::string(tag));
  } else if (!answer.sqlstate.empty()) {
    const bool skipped = answer.sqlstate == kSkipped;
    answer.state =
        skipped ? StatementResult::State::kSkipped : StatementResult::State::kFailed;
    answer.error = ErrorText(result);
  } else if (awaited.client && batch->rows != nullptr) {
    TakeEnd(result, batch->result.results.size(), batch->rows.get());
  } else {
    answer.rows.resize(static_cast<size_t>(PQntuples(result)));
    for (size_t row = 0; row < answer.rows.size(); ++row) {
      for (int column = 0; column < PQnfields(result); ++column) {
        answer.rows[row].emplace_back(Field(result, static_cast<int>(row), column));
      }
    }
    if (awaited.tells_whether_reset)
      batch->told_whether_reset = answer.Field(0, 0) == "t";
  }
  return answer;
}

// Handles the answer to a statement that this class has added itself. If it is an error,
// it counts as the error of the statement that follows.
bool Connection::EndHelper(Batch* batch, const Awaited& awaited, Result* result) {
  if (awaited.kind == Awaited::Kind::kStatement) return false;
  if (SqlState(result->get()).empty()) return true;
  if (awaited.kind == Awaited::Kind::kParse) {  // the server did not prepare it
    const auto kept = kept_.find(awaited.key);
    if (kept != kept_.end()) {
      uses_.erase(kept->second.use);
      kept_.erase(kept);
    }
  }
  if (batch->parse_error == nullptr) batch->parse_error = std::move(*result);
  return true;
}

void Connection::EndBatch() {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  CONCORDAT_CHECK(batch.result.results.size() == batch.count)
      << batch.result.results.size() << " answers for " << batch.count << " statements";
  if (batches_.empty()) {
    // libpq knows the status once it has found its queue to be empty.
    if (PQtransactionStatus(pg_) == PQTRANS_ACTIVE) PQclear(PQgetResult(pg_));
    batch.result.transaction = StateOf(PQtransactionStatus(pg_));
  }
  if (batch.told_whether_reset.has_value() && batch.result.ok()) {
    is_reset_ = *batch.told_whether_reset;
    spent_ = spent_ || !is_reset_;
  }
  batch.done(std::move(batch.result));
}

// --- the end ---

std::vector<database::Session::Owed> Connection::Drop() {
  PQfinish(pg_);
  pg_ = nullptr;
  paced_read_.Close();
  std::vector<Owed> owed;
  for (Batch& batch : std::exchange(batches_, {})) {
    owed.push_back({std::move(batch.done), batch.row_too_large});
  }
  for (HeldBack& held : std::exchange(held_back_, {})) {
    owed.push_back({std::move(held.done)});
  }
  return owed;
}

}  // namespace concordat::participant::postgresql
