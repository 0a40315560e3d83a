#include "participant/resources/mariadb/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "participant/resources/mariadb/statements.h"
#include "participant/resources/mariadb/value.h"

namespace concordat::participant::mariadb {

using database::BatchDone;
using database::BatchResult;
using database::ClientRows;
using database::TransactionState;

namespace {

// So many rows are read at once; then other connections have their turn.
constexpr uint64_t kRowsAtOnce = 1024;
// The largest row, in bytes. The whole of it is in memory while it is read.
constexpr unsigned long kMaxPacket = 64u << 20;
constexpr unsigned long kMinimumVersion = 101100;
// The numbers of errors that come from the connector (errmsg.h) and not from the server.
constexpr unsigned kFirstClientError = 2000, kLastClientError = 2999;
constexpr unsigned kShutdown = 1053, kKilled = 1927;

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool IsTheConnectors(unsigned error) {
  return error >= kFirstClientError && error <= kLastClientError;
}

bool ConnectionIsGone(unsigned error) {
  return IsTheConnectors(error) || error == kShutdown || error == kKilled;
}

}  // namespace

bool MayWorkLater(unsigned error) {
  return ConnectionIsGone(error) || IsTransientError(error);
}

void ApplyAddress(const Address& address, MYSQL* handle) {
  const unsigned off = 0;
  const my_bool no = 0;
  const my_bool tls = address.tls ? 1 : 0;
  const my_bool verify = address.tls && address.tls_verify ? 1 : 0;
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &off);
  mysql_options(handle, MYSQL_OPT_MAX_ALLOWED_PACKET, &kMaxPacket);
  mysql_options(handle, MYSQL_OPT_RECONNECT, &no);
  mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &tls);
  mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  const auto name = [handle](mysql_option option, const std::string& file) {
    if (!file.empty()) mysql_options(handle, option, file.c_str());
  };
  name(MYSQL_OPT_SSL_CA, address.tls_ca);
  name(MYSQL_OPT_SSL_CERT, address.tls_cert);
  name(MYSQL_OPT_SSL_KEY, address.tls_key);
}

namespace {
// A row that an UPDATE finds counts as changed even if it has the new values already, as
// in the other databases.
constexpr unsigned long kFlags = CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS;

const char* OrNull(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}
}  // namespace

MYSQL* ConnectTo(const Address& a, MYSQL* handle) {
  return mysql_real_connect(handle, OrNull(a.host), OrNull(a.user), OrNull(a.password),
                            a.database.c_str(), a.port, OrNull(a.socket), kFlags);
}

Connection::Connection(rpc::EventLoop* loop, ConnectionConfig config,
                       database::Counters* counters)
    : Session(loop, config.connect_timeout, counters), config_(std::move(config)) {
  if (config_.watched != nullptr) config_.watched->insert(this);
}

Connection::~Connection() {
  if (config_.watched != nullptr) config_.watched->erase(this);
  watch_.reset();
  if (mysql_ != nullptr) CloseHandle();
}

std::string Connection::ErrorMessage() const { return OneLine(mysql_error(mysql_)); }

// --- steps: calls of Connector/C that may have to wait ---

int Connection::Begin(Step step) {
  step_ = step;
  stepping_ = true;
  switch (step) {
    case Step::kConnect: {
      const Address& a = config_.address;
      return mysql_real_connect_start(
          &connect_result_, mysql_, OrNull(a.host), OrNull(a.user), OrNull(a.password),
          a.database.c_str(), a.port, OrNull(a.socket), kFlags);
    }
    case Step::kQuery:
      return mysql_real_query_start(&int_result_, mysql_, batches_.front().text.data(),
                                    batches_.front().text.size());
    case Step::kReset:
      return mysql_reset_connection_start(&int_result_, mysql_);
    case Step::kFetch:
      return mysql_fetch_row_start(&row_result_, reading_.result);
    case Step::kNext:
      return mysql_next_result_start(&int_result_, mysql_);
  }
  return 0;
}

int Connection::Continue(int ready) {
  switch (step_) {
    case Step::kConnect:
      return mysql_real_connect_cont(&connect_result_, mysql_, ready);
    case Step::kQuery:
      return mysql_real_query_cont(&int_result_, mysql_, ready);
    case Step::kReset:
      return mysql_reset_connection_cont(&int_result_, mysql_, ready);
    case Step::kFetch:
      return mysql_fetch_row_cont(&row_result_, reading_.result, ready);
    case Step::kNext:
      return mysql_next_result_cont(&int_result_, mysql_, ready);
  }
  return 0;
}

// Connector/C closes the descriptor by itself when a connection fails, and opens another
// one for the next address. The event loop must not assume that it still watches that
// number. So the watch is removed wherever this may have happened and Break does not
// follow at once.
void Connection::Unwatch() { watch_.reset(); }

void Connection::Wait(int wanted) {
  Watch();
  watch_->WatchRead((wanted & (MYSQL_WAIT_READ | MYSQL_WAIT_EXCEPT)) != 0);
  watch_->WatchWrite((wanted & MYSQL_WAIT_WRITE) != 0);
}

void Connection::Watch() {
  if (watch_ != nullptr) return;
  watch_ = std::make_unique<rpc::FdWatch>(
      loop_, static_cast<int>(mysql_get_socket(mysql_)), this);
}

// Continues until something has to be waited for. `wanted` is what the step under way
// waits for; 0: it has ended.
void Connection::Drive(int wanted) {
  ++progress_;
  while (wanted == 0) {
    stepping_ = false;
    const std::optional<Step> next = StepDone();
    if (!next.has_value()) return;
    wanted = Begin(*next);
  }
  Wait(wanted);
}

void Connection::OnFdEvent(bool readable, bool writable) {
  const auto self = shared_from_this();
  if (state_ == State::kBroken || due_) return;
  if (!stepping_) {
    // The server was asked nothing, so it is ending the session.
    return Break("the server has closed the connection");
  }
  if (step_ == Step::kConnect) Unwatch();
  Drive(Continue((readable ? MYSQL_WAIT_READ : 0) | (writable ? MYSQL_WAIT_WRITE : 0)));
}

// Returns the next step of the batch. None: it was the last one, or another batch was
// begun.
std::optional<Connection::Step> Connection::StepDone() {
  switch (step_) {
    case Step::kConnect:
      OnConnectDone();
      return std::nullopt;
    case Step::kQuery:
    case Step::kNext:
      // A number below zero means for a query that it could not be sent, and otherwise
      // that there are no more results.
      if (step_ == Step::kQuery ? int_result_ != 0 : int_result_ > 0) {
        TakeError();
        return std::nullopt;
      }
      if (mysql_field_count(mysql_) != 0) {
        reading_ = Reading();
        reading_.result = mysql_use_result(mysql_);
        CONCORDAT_CHECK(reading_.result != nullptr) << "out of memory";
        TakeColumns();
        return Step::kFetch;
      }
      TakeResult(nullptr);
      break;
    case Step::kReset:
      if (int_result_ != 0) {
        Fail();
      } else {
        OnReset();
      }
      return std::nullopt;
    case Step::kFetch:
      return FetchDone();
  }
  return NextStep();
}

std::optional<Connection::Step> Connection::FetchDone() {
  if (row_result_ != nullptr) {
    TakeRow();
    if (reading_.arrived % kRowsAtOnce != 0) return Step::kFetch;
    BeginSoon(Step::kFetch);
    return std::nullopt;
  }
  const bool failed = mysql_errno(mysql_) != 0;
  mysql_free_result(std::exchange(reading_.result, nullptr));
  if (failed) {
    TakeError();
    return std::nullopt;
  }
  TakeResult(&reading_);
  return NextStep();
}

std::optional<Connection::Step> Connection::NextStep() {
  if (mysql_more_results(mysql_) != 0) return Step::kNext;
  EndBatch();
  return std::nullopt;
}

// --- connecting ---

void Connection::BeginConnect() {
  mysql_ = mysql_init(nullptr);
  CONCORDAT_CHECK(mysql_ != nullptr) << "out of memory";
  ApplyAddress(config_.address, mysql_);
  mysql_options(mysql_, MYSQL_OPT_NONBLOCK, nullptr);
  BeginSoon(Step::kConnect);
}

// Does not call back, so that its caller may hold state.
void Connection::BeginSoon(Step step) {
  const int wanted = Begin(step);
  if (wanted != 0) return Wait(wanted);
  due_ = true;  // the step has ended, or failed, at once
  Unwatch();
  loop_->Defer([this, weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || state_ == State::kBroken) return;
    due_ = false;
    Drive(0);
  });
}

namespace {
// Lets the kernel notice that the server's host is gone without having closed the
// connection.
void WatchPeer(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return;
  const int on = 1, idle = 10, interval = 5, count = 3, timeout_ms = 15000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}
}  // namespace

namespace {
constexpr unsigned kTlsError = 2026;  // CR_SSL_CONNECTION_ERROR
constexpr char kTlsHelp[] =
    ". tls_ca must name the file with the authority of the server's certificate, and the "
    "certificate must be for the host in the URL; tls=no-verify does without";
}  // namespace

void Connection::OnConnectDone() {
  if (connect_result_ == nullptr) {
    const unsigned error = mysql_errno(mysql_);
    greeted_ = !IsTheConnectors(error);
    std::string text = absl::StrCat(error, ": ", ErrorMessage());
    if (error == kTlsError) absl::StrAppend(&text, kTlsHelp);
    return Connected(MayWorkLater(error) ? absl::UnavailableError(text)
                                         : absl::FailedPreconditionError(text));
  }
  WatchPeer(static_cast<int>(mysql_get_socket(mysql_)));
  const std::string version = mysql_get_server_info(mysql_);
  if (mariadb_connection(mysql_) == 0 ||
      mysql_get_server_version(mysql_) < kMinimumVersion) {
    return Connected(absl::FailedPreconditionError(
        absl::StrCat("the server is ", version,
                     "; MariaDB 10.11 or later is needed: upgrade it (before 10.5 a "
                     "prepared branch did not outlive its session, and MySQL has other "
                     "statements)")));
  }
  SetUpSession();
}

// --- sending ---

void Connection::Send(std::vector<Statement> statements, BatchDone done,
                      std::shared_ptr<ClientRows> rows) {
  if (!binlog_) {
    std::erase_if(statements, [](const Statement& s) { return Has(s, kOnlyWithBinlog); });
  }
  Batch& batch = batches_.emplace_back();
  batch.statements = std::move(statements);
  batch.done = std::move(done);
  batch.client_rows = std::move(rows);
  if (batches_.size() == 1) StartBatch();
}

void Connection::StartBatch() {
  Batch& batch = batches_.front();
  running_ = true;
  ++progress_;
  if (batch.resets) return BeginSoon(Step::kReset);
  Compose(&batch);
  counters_->statements.fetch_add(batch.statements.size(), std::memory_order_relaxed);
  counters_->round_trips.fetch_add(1, std::memory_order_relaxed);
  BeginSoon(Step::kQuery);
}

// --- reading ---

// The results after those of all slots are a procedure's, which is the last statement
// (statement_check.h). Only its first rows are taken.
std::optional<size_t> Connection::StatementBeingRead() const {
  const Batch& batch = batches_.front();
  if (batch.next_slot < batch.slots.size()) return batch.slots[batch.next_slot].statement;
  if (batch.gave_rows) return std::nullopt;
  return batch.statements.size() - 1;
}

void Connection::TakeColumns() {
  const std::optional<size_t> statement = StatementBeingRead();
  const Batch& batch = batches_.front();
  if (!statement.has_value() || !batch.statements[*statement].client ||
      batch.client_rows == nullptr) {
    return;
  }
  std::vector<std::string> names;
  const MYSQL_FIELD* fields = mysql_fetch_fields(reading_.result);
  for (unsigned c = 0; c < mysql_num_fields(reading_.result); ++c) {
    names.emplace_back(fields[c].name);
  }
  batch.client_rows->SetColumns(*statement, std::move(names));
}

void Connection::TakeRow() {
  ++reading_.arrived;
  const std::optional<size_t> statement = StatementBeingRead();
  if (!statement.has_value()) return;
  const unsigned columns = mysql_num_fields(reading_.result);
  const unsigned long* sizes = mysql_fetch_lengths(reading_.result);
  const Batch& batch = batches_.front();
  if (!batch.statements[*statement].client) {
    std::vector<std::string>& row = reading_.rows.emplace_back();
    for (unsigned c = 0; c < columns; ++c) {
      row.emplace_back(row_result_[c] == nullptr ? "" : row_result_[c], sizes[c]);
    }
    return;
  }
  uint64_t bytes = 0;
  for (unsigned c = 0; c < columns; ++c) bytes += 16 + sizes[c];
  if (batch.client_rows == nullptr || !batch.client_rows->HasRoomFor(bytes)) return;
  batch.client_rows->Add(*statement, RowToWire(mysql_fetch_fields(reading_.result),
                                               columns, row_result_, sizes));
}

// With the end of a statement that returns no rows, the server reports whether it has
// changed the session, and to what the transaction has written.
void Connection::NoteSession(const Slot* slot, StatementResult* result) {
  const char* text = nullptr;
  size_t size = 0;
  const bool changed = mysql_session_track_get_first(mysql_, SESSION_TRACK_STATE_CHANGE,
                                                     &text, &size) == 0;
  const bool transaction =
      mysql_session_track_get_first(mysql_, SESSION_TRACK_TRANSACTION_STATE, &text,
                                    &size) == 0;
  if (transaction) {
    result->wrote_for_good = std::string_view(text, size).find('w') != std::string::npos;
  }
  const bool ours = slot != nullptr &&
                    (slot->is_silent() ||
                     Has(batches_.front().statements[slot->statement], kChangesSession));
  if (changed && (!ours || unreported_)) tainted_ = true;
  if (changed || transaction) unreported_ = false;
}

void Connection::TakeResult(Reading* reading) {
  Batch& batch = batches_.front();
  const Slot* slot =
      batch.next_slot < batch.slots.size() ? &batch.slots[batch.next_slot++] : nullptr;
  StatementResult result;
  std::optional<uint64_t> changed;
  if (reading == nullptr) {
    changed = mysql_affected_rows(mysql_);
    NoteSession(slot, &result);
  }
  if (slot == nullptr) {  // a result of a procedure
    CONCORDAT_CHECK(!batch.result.results.empty());
    StatementResult& last = batch.result.results.back();
    last.wrote_for_good = last.wrote_for_good || result.wrote_for_good;
    batch.gave_rows = batch.gave_rows || reading != nullptr;
    return;
  }
  if (slot->is_silent()) return;
  const Statement& statement = batch.statements[slot->statement];
  if (statement.client && reading != nullptr) {
    unreported_ = true;
    if (Has(statement, kWrites)) changed = reading->arrived;
  }
  if (reading != nullptr) result.rows = std::move(reading->rows);
  if (Has(statement, kAsksReports)) {
    // A function may have switched the reports off before it changed something.
    tainted_ = tainted_ || result.rows.size() != 1 || result.Field(0, 1) != "1" ||
               result.Field(0, 2) != "STATE";
  }
  if (Has(statement, kWrites) && (reading != nullptr || mysql_insert_id(mysql_) != 0)) {
    leaves_insert_id_ = true;
  }
  result.changed = changed.value_or(0);
  if (statement.client && batch.client_rows != nullptr && changed.has_value()) {
    batch.client_rows->SetChanged(slot->statement, *changed);
  }
  batch.gave_rows = reading != nullptr;
  batch.result.results.push_back(std::move(result));
}

// The statements that this slot and those after it were to prepare or to drop were not
// prepared or dropped.
void Connection::ForgetSlots(const Batch& batch) {
  for (size_t i = batch.next_slot; i < batch.slots.size(); ++i) {
    const Slot& slot = batch.slots[i];
    if (!slot.prepares.empty() && kept_.erase(slot.prepares) > 0) {
      kept_bytes_ -= slot.prepares.size();
    }
    if (!slot.drops.empty()) drops_.push_back(slot.drops);
  }
}

void Connection::TakeError() {
  const unsigned error = mysql_errno(mysql_);
  if (ConnectionIsGone(error)) return Fail();
  Batch& batch = batches_.front();
  StatementResult result;
  result.state = StatementResult::State::kFailed;
  result.number = error;
  result.sqlstate = mysql_sqlstate(mysql_);
  result.error = absl::StrCat(error, " (", result.sqlstate, "): ", ErrorMessage());
  if (batch.next_slot >= batch.slots.size()) {
    batch.result.results.back() = std::move(result);  // a procedure failed half-way
  } else {
    // The statement may have changed the session before it failed.
    const Slot& slot = batch.slots[batch.next_slot];
    unreported_ =
        unreported_ || (batch.statements[slot.statement].client && !slot.is_silent());
    ForgetSlots(batch);
    batch.result.results.push_back(std::move(result));
  }
  // The statements that follow were skipped, so what they were to set, reset or ask in
  // the session was not done.
  for (size_t i = batch.result.results.size() - 1; i < batch.statements.size(); ++i) {
    const Statement& undone = batch.statements[i];
    tainted_ = tainted_ || Has(undone, kChangesSession) || Has(undone, kAsksReports);
  }
  while (batch.result.results.size() < batch.statements.size()) {
    batch.result.results.emplace_back().state = StatementResult::State::kSkipped;
  }
  EndBatch();
}

void Connection::EndBatch() {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  running_ = false;
  CONCORDAT_CHECK(batch.result.results.size() == batch.statements.size())
      << batch.result.results.size() << " answers for " << batch.statements.size()
      << " statements";
  unsigned status = 0;
  mariadb_get_infov(mysql_, MARIADB_CONNECTION_SERVER_STATUS, &status);
  batch.result.transaction = (status & SERVER_STATUS_IN_TRANS) != 0
                                 ? TransactionState::kOpen
                                 : TransactionState::kNone;
  Wait(MYSQL_WAIT_READ);  // for the end of the connection
  batch.done(std::move(batch.result));
  if (state_ == State::kReady && !running_ && !batches_.empty()) StartBatch();
}

// --- the end ---

void Connection::Fail() {
  const std::string why = ErrorMessage();
  Break(why.empty() ? "the connection does not answer as it should" : why);
}

void Connection::CloseHandle() {
  if (reading_.result != nullptr) {
    // Without this, mysql_free_result would read the rest of the rows.
    reading_.result->handle = nullptr;
    mysql_free_result(std::exchange(reading_.result, nullptr));
  }
  mysql_close(std::exchange(mysql_, nullptr));
}

std::vector<database::Session::Owed> Connection::Drop() {
  if (stepping_) {
    // A step is under way: mysql_close would send a QUIT, and wait until it can.
    const int fd = static_cast<int>(mysql_get_socket(mysql_));
    if (fd >= 0) shutdown(fd, SHUT_RDWR);
  }
  CloseHandle();
  std::vector<Owed> owed;
  for (Batch& batch : std::exchange(batches_, {}))
    owed.push_back({std::move(batch.done)});
  return owed;
}

}  // namespace concordat::participant::mariadb
