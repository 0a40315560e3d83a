#include "participant/mariadb/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"

namespace concordat::participant::mariadb {

namespace {

constexpr size_t kMaxKept = 256;
constexpr unsigned long kMinimumVersion = 101100;
// From the connector itself (errmsg.h), not from the server.
constexpr unsigned kFirstClientError = 2000, kLastClientError = 2999;
constexpr unsigned kUserLimit = 1226, kTooManyConnections = 1040, kUserConnections = 1203;
constexpr unsigned kShutdown = 1053, kKilled = 1927;

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool ConnectionIsGone(unsigned error) {
  return (error >= kFirstClientError && error <= kLastClientError) ||
         error == kShutdown || error == kKilled;
}

// A server that is starting, full or shutting down may take us the next time; a password
// that is wrong now will be wrong again.
bool MayWorkLater(unsigned error) {
  return ConnectionIsGone(error) || error == kUserLimit || error == kTooManyConnections ||
         error == kUserConnections;
}

std::string Seconds(Duration time, int64_t least) {
  return absl::StrCat(std::max(least, (time.millis() + 999) / 1000));
}

}  // namespace

void ApplyAddress(const Address& address, MYSQL* handle) {
  const unsigned off = 0;
  const my_bool no = 0;
  const my_bool tls = address.tls ? 1 : 0;
  const my_bool verify = address.tls && address.tls_verify ? 1 : 0;
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &off);
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
const char* OrNull(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}
}  // namespace

MYSQL* ConnectTo(const Address& a, MYSQL* handle) {
  return mysql_real_connect(handle, OrNull(a.host), OrNull(a.user), OrNull(a.password),
                            a.database.c_str(), a.port, OrNull(a.socket),
                            CLIENT_MULTI_STATEMENTS);
}

std::string GuardLock(std::string_view locks) {
  return absl::StrCat(std::string(locks), "#guard");
}

size_t Result::row_count() const {
  return rows == nullptr ? 0 : static_cast<size_t>(mysql_num_rows(rows.get()));
}

std::string_view Result::Field(size_t row, unsigned column) const {
  mysql_data_seek(rows.get(), row);
  const MYSQL_ROW values = mysql_fetch_row(rows.get());
  if (values[column] == nullptr) return {};
  return {values[column], mysql_fetch_lengths(rows.get())[column]};
}

bool Result::IsNull(size_t row, unsigned column) const {
  mysql_data_seek(rows.get(), row);
  return mysql_fetch_row(rows.get())[column] == nullptr;
}

size_t BatchResult::FirstFailed() const {
  size_t i = 0;
  while (i < results.size() && results[i].error == 0) ++i;
  return i;
}

unsigned BatchResult::ErrorNumber() const {
  const size_t failed = FirstFailed();
  return lost || failed == results.size() ? 0 : results[failed].error;
}

std::string BatchResult::Error() const {
  if (lost) return absl::StrCat("the connection was lost: ", why_lost);
  const size_t failed = FirstFailed();
  if (failed == results.size()) return "";
  const Result& r = results[failed];
  return absl::StrCat(r.error, " (", r.sqlstate, "): ", r.message);
}

Connection::Connection(rpc::EventLoop* loop, ConnectionConfig config, Counters* counters)
    : loop_(loop), config_(std::move(config)), counters_(counters) {}

Connection::~Connection() {
  loop_->Cancel(connect_timer_);
  watch_.reset();
  if (mysql_ != nullptr) mysql_close(mysql_);
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
          a.database.c_str(), a.port, OrNull(a.socket), CLIENT_MULTI_STATEMENTS);
    }
    case Step::kQuery:
      return mysql_real_query_start(&int_result_, mysql_, batches_.front().text.data(),
                                    batches_.front().text.size());
    case Step::kStore:
      return mysql_store_result_start(&store_result_, mysql_);
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
    case Step::kStore:
      return mysql_store_result_cont(&store_result_, mysql_, ready);
    case Step::kNext:
      return mysql_next_result_cont(&int_result_, mysql_, ready);
  }
  return 0;
}

// Connector/C closes the descriptor by itself when a connection fails, and opens another
// one for the next address; the event loop must not believe that it still watches the
// number. So the watch goes wherever that may have happened without Break following at
// once.
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

// `wanted`: what the step under way waits for; 0: it is done. Goes on until something
// has to be waited for.
void Connection::Drive(int wanted) {
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
    // Nothing was asked: the server is ending the session.
    return Break("the server has closed the connection");
  }
  if (step_ == Step::kConnect) Unwatch();
  Drive(Continue((readable ? MYSQL_WAIT_READ : 0) | (writable ? MYSQL_WAIT_WRITE : 0)));
}

// The next step of the batch; none when it was the last, or another batch was begun.
std::optional<Connection::Step> Connection::StepDone() {
  switch (step_) {
    case Step::kConnect:
      OnConnectDone();
      return std::nullopt;
    case Step::kQuery:
    case Step::kNext:
      // Below zero: of a query, that it could not be sent; else, that there is no more.
      if (step_ == Step::kQuery ? int_result_ != 0 : int_result_ > 0) {
        TakeError();
        return std::nullopt;
      }
      if (mysql_field_count(mysql_) != 0) return Step::kStore;
      TakeResult(MakeResult(nullptr));
      break;
    case Step::kStore:
      if (store_result_ == nullptr) {
        TakeError();
        return std::nullopt;
      }
      TakeResult(MakeResult(Rows(std::exchange(store_result_, nullptr))));
      break;
  }
  if (mysql_more_results(mysql_) != 0) return Step::kNext;
  EndBatch();
  return std::nullopt;
}

// --- connecting ---

void Connection::Connect(absl::AnyInvocable<void(absl::Status)> done) {
  CONCORDAT_CHECK(state_ == State::kNew) << "connected twice";
  state_ = State::kConnecting;
  connected_ = std::move(done);
  mysql_ = mysql_init(nullptr);
  CONCORDAT_CHECK(mysql_ != nullptr) << "out of memory";
  ApplyAddress(config_.address, mysql_);
  mysql_options(mysql_, MYSQL_OPT_NONBLOCK, nullptr);
  connect_timer_ = loop_->RunAfter(config_.connect_timeout, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->connected_ == nullptr) return;
    self->Break(
        absl::StrCat("no answer within ", self->config_.connect_timeout.millis(), " ms"));
  });
  BeginSoon(Step::kConnect);
}

// Nothing is called back from here.
void Connection::BeginSoon(Step step) {
  const int wanted = Begin(step);
  if (wanted != 0) return Wait(wanted);
  due_ = true;  // it has been done, or has failed, at once
  Unwatch();
  loop_->Defer([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr || self->state_ == State::kBroken) return;
    self->due_ = false;
    self->Drive(0);
  });
}

namespace {
// A peer that is gone without a word is noticed.
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

// What this session needs whatever the server's configuration says. Its lock comes
// before the look at the guard's: see guard.h.
void Connection::SetUpSession() {
  state_ = State::kReady;
  backend_.lock =
      absl::StrCat(config_.locks, "#", (*config_.next_lock)++ % kSessionLocks);
  const std::string guard = config_.guard_id == nullptr ? "" : *config_.guard_id;
  const std::string wait = Seconds(config_.lock_timeout, 1);
  std::vector<Statement> set_up;
  set_up.push_back({absl::StrCat(
      "SET SESSION sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
      "NO_ENGINE_SUBSTITUTION',autocommit=",
      config_.autocommit ? 1 : 0,
      ",completion_type=NO_CHAIN,session_track_transaction_info='STATE',"
      "session_track_schema=0,wait_timeout=31536000,foreign_key_checks=1,"
      "unique_checks=1,innodb_lock_wait_timeout=",
      wait, ",lock_wait_timeout=", wait,
      ",max_statement_time=", Seconds(config_.statement_timeout, 0),
      ",tx_isolation='READ-COMMITTED',", "tx_read_only=0")});
  set_up.push_back({absl::StrCat("SELECT CONNECTION_ID(),GET_LOCK('", backend_.lock,
                                 "',0),@@global.log_bin")});
  set_up.push_back(
      {absl::StrCat("SELECT IS_USED_LOCK('", GuardLock(config_.locks), "')")});
  Run(std::move(set_up), [this, guard](BatchResult r) {
    if (!r.ok()) {
      return Connected(r.lost || MayWorkLater(r.ErrorNumber())
                           ? absl::UnavailableError(r.Error())
                           : absl::FailedPreconditionError(absl::StrCat(
                                 "the session cannot be set up: ", r.Error())));
    }
    if (r.results[1].Field(0, 1) != "1") {
      return Connected(absl::UnavailableError(
          absl::StrCat("another session holds the lock ", backend_.lock)));
    }
    if (!guard.empty() && r.results[2].Field(0, 0) != guard) {
      return Connected(absl::UnavailableError(
          "the lock that makes this process the only one for the resource is lost"));
    }
    backend_.id = std::string(r.results[1].Field(0, 0));
    binlog_ = r.results[1].Field(0, 2) != "0";
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
  if (!binlog_) {
    std::erase_if(statements, [](const Statement& s) { return s.only_with_binlog; });
  }
  Batch& batch = batches_.emplace_back();
  batch.statements = std::move(statements);
  batch.done = std::move(done);
  if (batches_.size() == 1) StartBatch();
}

void Connection::StartBatch() {
  Batch& batch = batches_.front();
  Compose(&batch);
  running_ = true;
  counters_->statements.fetch_add(batch.statements.size(), std::memory_order_relaxed);
  counters_->round_trips.fetch_add(1, std::memory_order_relaxed);
  BeginSoon(Step::kQuery);
}

void Connection::Compose(Batch* batch) {
  for (size_t i = 0; i < batch->statements.size(); ++i) {
    if (!batch->text.empty()) batch->text.push_back(';');
    if (batch->statements[i].keep) {
      ComposeKept(batch, i);
    } else {
      absl::StrAppend(&batch->text, batch->statements[i].sql);
      batch->slots.push_back({i, "", false});
    }
  }
}

void Connection::ComposeKept(Batch* batch, size_t index) {
  const Statement& statement = batch->statements[index];
  const std::string hex = absl::BytesToHexString(statement.sql);
  const std::string parameters =
      statement.params.empty()
          ? ""
          : absl::StrCat(" USING ", absl::StrJoin(statement.params, ","));
  auto known = kept_.find(statement.sql);
  if (known == kept_.end()) {
    if (kept_.size() >= kMaxKept) {
      absl::StrAppend(&batch->text, "EXECUTE IMMEDIATE 0x", hex, parameters);
      batch->slots.push_back({index, "", false});
      return;
    }
    const std::string name = absl::StrCat("c", ++last_name_);
    known = kept_.emplace(statement.sql, name).first;
    absl::StrAppend(&batch->text, "PREPARE ", name, " FROM 0x", hex, ";");
    batch->slots.push_back({index, statement.sql, true});
  }
  absl::StrAppend(&batch->text, "EXECUTE ", known->second, parameters);
  batch->slots.push_back({index, "", false});
}

// --- reading ---

Result Connection::MakeResult(Rows rows) {
  Result result;
  result.rows = std::move(rows);
  if (result.rows == nullptr) result.changed = mysql_affected_rows(mysql_);
  const char* state = nullptr;
  size_t size = 0;
  if (mysql_session_track_get_first(mysql_, SESSION_TRACK_TRANSACTION_STATE, &state,
                                    &size) == 0) {
    result.wrote_for_good = std::string_view(state, size).find('w') != std::string::npos;
  }
  return result;
}

void Connection::TakeResult(Result result) {
  Batch& batch = batches_.front();
  if (batch.next_slot >= batch.slots.size()) {
    // A procedure, which stands last (statement_check.h): its first rows count.
    CONCORDAT_CHECK(!batch.result.results.empty());
    Result& last = batch.result.results.back();
    last.wrote_for_good = last.wrote_for_good || result.wrote_for_good;
    if (last.rows == nullptr) last = std::move(result);
    return;
  }
  if (batch.slots[batch.next_slot++].is_prepare) return;
  batch.result.results.push_back(std::move(result));
}

void Connection::TakeError() {
  const unsigned error = mysql_errno(mysql_);
  if (ConnectionIsGone(error)) return Fail();
  Batch& batch = batches_.front();
  Result result;
  result.error = error;
  result.sqlstate = mysql_sqlstate(mysql_);
  result.message = ErrorMessage();
  if (batch.next_slot >= batch.slots.size()) {
    batch.result.results.back() = std::move(result);  // a procedure failed in its middle
  } else {
    // What was to be prepared, here or behind, is not there.
    for (size_t i = batch.next_slot; i < batch.slots.size(); ++i) {
      if (batch.slots[i].is_prepare) kept_.erase(batch.slots[i].prepares);
    }
    batch.result.results.push_back(std::move(result));
  }
  while (batch.result.results.size() < batch.statements.size()) {
    batch.result.results.emplace_back().error = kSkipped;
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
  batch.result.in_transaction = (status & SERVER_STATUS_IN_TRANS) != 0;
  Wait(MYSQL_WAIT_READ);  // for the end of the connection
  batch.done(std::move(batch.result));
  if (state_ == State::kReady && !running_ && !batches_.empty()) StartBatch();
}

// --- the end ---

void Connection::Fail() {
  const std::string why = ErrorMessage();
  Break(why.empty() ? "the connection does not answer as it should" : why);
}

void Connection::Close(const std::string& why) {
  const auto self = shared_from_this();
  Break(why);
}

void Connection::Break(std::string why) {
  if (state_ == State::kBroken) return;
  const bool connecting = state_ == State::kConnecting;
  state_ = State::kBroken;
  loop_->Cancel(connect_timer_);
  watch_.reset();
  if (stepping_) {
    // In the middle of something one cannot take leave: a QUIT would wait for its turn.
    const int fd = static_cast<int>(mysql_get_socket(mysql_));
    if (fd >= 0) shutdown(fd, SHUT_RDWR);
  }
  mysql_close(mysql_);
  mysql_ = nullptr;
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

}  // namespace concordat::participant::mariadb
