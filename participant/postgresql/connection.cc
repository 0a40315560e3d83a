#include "participant/postgresql/connection.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"

namespace concordat::participant::postgresql {

namespace {

constexpr size_t kMaxKept = 256;
// Before 14 a backend that waits for a lock does not notice that its client is gone.
constexpr int kMinimumVersion = 140000;

std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Parameters may stand in a kept statement with other types the next time.
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

// What this session needs whatever the server's configuration says. Texts are UTF-8 and
// numbers come in one form; a commit that was answered is on disk; a backend whose
// client has gone ends soon, also while it waits for a lock; a new statement sees what
// was committed before it (LookUp relies on that).
constexpr char kSetUp[] =
    "SELECT set_config('bytea_output','hex',false),"
    " set_config('extra_float_digits','1',false),"
    " set_config('default_transaction_isolation','read committed',false),"
    " set_config('client_connection_check_interval','500',false),"
    " set_config('idle_in_transaction_session_timeout','0',false),"
    " set_config('idle_session_timeout','0',false),"
    " set_config('lock_timeout',$1,false),"
    " set_config('statement_timeout',$2,false),"
    " CASE WHEN current_setting('synchronous_commit')='off'"
    "  THEN set_config('synchronous_commit','on',false) END,"
    " pid, extract(epoch FROM backend_start),"
    " $3::text='' OR EXISTS(SELECT 1 FROM pg_locks WHERE locktype='advisory'"
    "  AND granted AND pid::text=$3)"
    " FROM pg_stat_activity WHERE pid=pg_backend_pid()";
constexpr int kPidColumn = 9;

}  // namespace

std::string SqlState(const PGresult* result) {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
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

size_t BatchResult::FirstFailed() const {
  size_t i = 0;
  while (i < results.size() && SqlState(results[i].get()).empty()) ++i;
  return i;
}

std::string BatchResult::Error() const {
  if (lost) return absl::StrCat("the connection was lost: ", why_lost);
  const size_t failed = FirstFailed();
  return failed == results.size() ? "" : ErrorText(results[failed].get());
}

Connection::Connection(rpc::EventLoop* loop, ConnectionConfig config, Counters* counters)
    : loop_(loop), config_(std::move(config)), counters_(counters) {}

Connection::~Connection() {
  loop_->Cancel(connect_timer_);
  watch_.reset();
  PQfinish(pg_);
}

std::string Connection::ErrorMessage() const { return OneLine(PQerrorMessage(pg_)); }

// --- connecting ---

void Connection::Connect(absl::AnyInvocable<void(absl::Status)> done) {
  CONCORDAT_CHECK(state_ == State::kNew) << "connected twice";
  state_ = State::kConnecting;
  connected_ = std::move(done);
  // What stands before the URL is a default, what stands behind it overrides it.
  const char* const names[] = {
      "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
      "dbname",          "application_name",    "client_encoding",  nullptr};
  const char* const values[] = {
      "10",   "5",    "3", "15000", config_.url.c_str(), config_.application_name.c_str(),
      "UTF8", nullptr};
  pg_ = PQconnectStartParams(names, values, /*expand_dbname=*/1);
  CONCORDAT_CHECK(pg_ != nullptr) << "out of memory";
  if (PQstatus(pg_) == CONNECTION_BAD) {
    return Connected(absl::UnavailableError(ErrorMessage()));
  }
  PQsetNoticeReceiver(pg_, LogNotice, nullptr);
  connect_timer_ = loop_->RunAfter(config_.connect_timeout, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->connected_ == nullptr) return;
    self->Break(
        absl::StrCat("no answer within ", self->config_.connect_timeout.millis(), " ms"));
  });
  watch_ = std::make_unique<rpc::FdWatch>(loop_, PQsocket(pg_), this);
  watch_->WatchWrite(true);  // as PQconnectStart's manual page has it
}

void Connection::PollConnect() {
  watch_.reset();  // the descriptor may be another one after the call
  const PostgresPollingStatusType wanted = PQconnectPoll(pg_);
  if (wanted == PGRES_POLLING_FAILED) {
    return Connected(absl::UnavailableError(ErrorMessage()));
  }
  watch_ = std::make_unique<rpc::FdWatch>(loop_, PQsocket(pg_), this);
  if (wanted != PGRES_POLLING_OK) {
    watch_->WatchRead(wanted == PGRES_POLLING_READING);
    watch_->WatchWrite(wanted == PGRES_POLLING_WRITING);
    return;
  }
  watch_->WatchRead(true);
  server_version_ = PQserverVersion(pg_);
  if (server_version_ < kMinimumVersion) {
    return Connected(absl::FailedPreconditionError(
        absl::StrCat("the server is PostgreSQL ", server_version_ / 10000,
                     "; at least 14 is needed: upgrade it")));
  }
  if (PQsetnonblocking(pg_, 1) != 0 || PQenterPipelineMode(pg_) != 1) {
    return Connected(absl::UnavailableError(ErrorMessage()));
  }
  SetUpSession();
}

void Connection::SetUpSession() {
  state_ = State::kReady;
  Statement set_up{kSetUp,
                   {Text(absl::StrCat(config_.lock_timeout.millis())),
                    Text(absl::StrCat(config_.statement_timeout.millis())),
                    Text(config_.guard_pid == nullptr ? "" : *config_.guard_pid)}};
  Run({std::move(set_up)}, [this](BatchResult r) {
    if (!r.ok() || PQntuples(r.results[0].get()) != 1) {
      return Connected(r.lost ? absl::UnavailableError(r.Error())
                              : absl::FailedPreconditionError(absl::StrCat(
                                    "the session cannot be set up: ", r.Error())));
    }
    if (Field(r.results[0].get(), 0, kPidColumn + 2) != "t") {
      return Connected(absl::UnavailableError(
          "the lock that makes this process the only one for the resource is lost"));
    }
    backend_.pid = std::string(Field(r.results[0].get(), 0, kPidColumn));
    backend_.start = std::string(Field(r.results[0].get(), 0, kPidColumn + 1));
    counters_->connects.fetch_add(1, std::memory_order_relaxed);
    Connected(absl::OkStatus());
  });
}

void Connection::Connected(absl::Status status) {
  loop_->Cancel(connect_timer_);
  if (!status.ok()) {
    state_ = State::kBroken;
    watch_.reset();
  }
  if (auto done = std::exchange(connected_, nullptr)) done(std::move(status));
}

// --- sending ---

void Connection::Run(std::vector<Statement> statements,
                     absl::AnyInvocable<void(BatchResult)> done) {
  if (state_ != State::kReady) {
    BatchResult lost;
    lost.lost = true;
    lost.why_lost = "it is not connected";
    return done(std::move(lost));
  }
  Batch& batch = batches_.emplace_back();
  batch.count = statements.size();
  batch.done = std::move(done);
  bool sent = true;
  for (const Statement& statement : statements) sent = sent && Send(statement, &batch);
  sent = sent && PQpipelineSync(pg_) == 1;
  counters_->statements.fetch_add(batch.count, std::memory_order_relaxed);
  counters_->round_trips.fetch_add(1, std::memory_order_relaxed);
  if (sent) return Flush();
  // Not from within the caller, who does not expect to be called back here.
  loop_->Defer([self = shared_from_this(), why = ErrorMessage()] { self->Break(why); });
}

bool Connection::Send(const Statement& statement, Batch* batch) {
  if (statement.keep) return SendKept(statement, batch);
  const ParamArrays p(statement.params);
  batch->parses.emplace_back();
  return PQsendQueryParams(pg_, statement.sql.c_str(), static_cast<int>(p.types.size()),
                           p.types.data(), p.values.data(), p.lengths.data(),
                           p.formats.data(), /*resultFormat=*/0) == 1;
}

bool Connection::SendKept(const Statement& statement, Batch* batch) {
  const ParamArrays p(statement.params);
  const int count = static_cast<int>(p.types.size());
  const std::string key = KeyOf(statement);
  const auto known = kept_.find(key);
  std::string name;
  if (known != kept_.end()) {
    name = known->second;
  } else {
    if (kept_.size() < kMaxKept) {
      name = absl::StrCat("c", ++last_name_);
      kept_.emplace(key, name);
    }
    batch->parses.push_back(key);
    if (PQsendPrepare(pg_, name.c_str(), statement.sql.c_str(), count, p.types.data()) !=
        1) {
      return false;
    }
  }
  batch->parses.emplace_back();
  return PQsendQueryPrepared(pg_, name.c_str(), count, p.values.data(), p.lengths.data(),
                             p.formats.data(), /*resultFormat=*/0) == 1;
}

void Connection::Flush() {
  const int left = PQflush(pg_);
  if (left < 0) {
    loop_->Defer([self = shared_from_this(), why = ErrorMessage()] { self->Break(why); });
    return;
  }
  watch_->WatchWrite(left == 1);
}

// --- reading ---

void Connection::OnFdEvent(bool /*readable*/, bool writable) {
  const auto self = shared_from_this();
  if (state_ == State::kConnecting) return PollConnect();
  if (state_ != State::kReady) return;
  if (writable) Flush();
  const bool open = PQconsumeInput(pg_) == 1;
  ReadResults();
  if (state_ == State::kReady && (!open || PQstatus(pg_) == CONNECTION_BAD)) {
    Break(ErrorMessage());
  }
}

void Connection::ReadResults() {
  // After its last batch a connection has nothing to give, and PQgetResult would say so
  // for ever.
  while (state_ == State::kReady && !batches_.empty() && PQisBusy(pg_) == 0) {
    if (PQstatus(pg_) == CONNECTION_BAD) return;
    TakeResult(Result(PQgetResult(pg_)));
  }
}

void Connection::TakeResult(Result result) {
  Batch& batch = batches_.front();
  if (result == nullptr) {
    if (batch.current != nullptr) EndStatement(&batch);
    return;
  }
  if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return EndBatch();
  // The session's last words, or libpq's own about its end, may come when all statements
  // have been answered.
  if (EndsSession(result.get()) || batch.parses.empty()) {
    return Break(ErrorText(result.get()));
  }
  batch.current = std::move(result);
}

void Connection::EndStatement(Batch* batch) {
  Result result = std::move(batch->current);
  CONCORDAT_CHECK(!batch->parses.empty()) << "more answers than statements";
  const std::string parse = std::move(batch->parses.front());
  batch->parses.pop_front();
  if (!parse.empty()) {
    if (SqlState(result.get()).empty()) return;
    kept_.erase(parse);  // the server does not have it
    batch->parse_error = std::move(result);
    return;
  }
  if (SqlState(result.get()) == "0A000" &&
      std::string_view(PQresultErrorMessage(result.get())).find("cached plan") !=
          std::string_view::npos) {
    plans_stale_ = true;
  }
  if (batch->parse_error != nullptr) result = std::move(batch->parse_error);
  batch->result.results.push_back(std::move(result));
}

void Connection::EndBatch() {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  CONCORDAT_CHECK(batch.result.results.size() == batch.count)
      << batch.result.results.size() << " answers for " << batch.count << " statements";
  if (batches_.empty()) {
    // The status is known when the queue is seen to be empty.
    if (PQtransactionStatus(pg_) == PQTRANS_ACTIVE) PQclear(PQgetResult(pg_));
    batch.result.transaction = PQtransactionStatus(pg_);
  }
  batch.done(std::move(batch.result));
}

// --- the end ---

void Connection::Close(const std::string& why) {
  const auto self = shared_from_this();
  Break(why);
}

void Connection::Break(std::string why) {
  if (state_ == State::kBroken) return;
  const bool connecting = state_ == State::kConnecting;
  state_ = State::kBroken;
  watch_.reset();
  loop_->Cancel(connect_timer_);
  PQfinish(pg_);
  pg_ = nullptr;
  if (connecting) return Connected(absl::UnavailableError(why));
  std::deque<Batch> batches = std::move(batches_);
  batches_.clear();
  for (Batch& batch : batches) {
    BatchResult lost;
    lost.lost = true;
    lost.why_lost = why;
    batch.done(std::move(lost));
  }
  if (auto listener = std::exchange(on_broken_, nullptr)) listener();
}

}  // namespace concordat::participant::postgresql
