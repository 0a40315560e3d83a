#include "coordinator/client/postgresql/enlist.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/system_clock.h"

namespace concordat::client {

namespace {

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

Result Take(PGresult* result) { return {result, PQclear}; }

std::string Trimmed(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

// 40001 serialization failure, 40P01 deadlock, 55P03 lock not available.
bool IsConflict(const PGresult* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field == nullptr ? "" : field;
  return state.substr(0, 2) == "40" || state == "55P03";
}

bool Failed(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

class EnlistedConnection final : public ApplicationConnection {
 public:
  EnlistedConnection(PGconn* connection, wire::ApplicationManagedBranch sql,
                     Duration timeout)
      : connection_(connection), sql_(std::move(sql)), timeout_(timeout) {}

  void SendPrepare() override {
    deadline_ = SystemClock().Now() + timeout_;
    // A COPY or a query of the application is still running.
    if (PQtransactionStatus(connection_) == PQTRANS_ACTIVE) return;
    sent_ = PQsendQuery(connection_, absl::StrJoin(sql_.prepare, "; ").c_str()) == 1;
  }

  // The branch is prepared only if there is no error and the command tag is right: in a
  // failed transaction the server answers PREPARE TRANSACTION with "ROLLBACK", without an
  // error.
  Answer AwaitPrepared() override {
    if (!sent_) return NotSent();
    std::string tag;
    std::string error;
    bool conflict = false;
    while (true) {
      if (!AwaitResult()) return CutOff();
      const Result result = Take(PQgetResult(connection_));
      if (result == nullptr) break;
      tag = PQcmdStatus(result.get());
      if (!error.empty() || !Failed(result.get())) continue;
      error = Trimmed(PQresultErrorMessage(result.get()));
      conflict = IsConflict(result.get());
    }
    if (PQstatus(connection_) != CONNECTION_OK) {
      return {Prepared::kUnknown,
              absl::StrCat("the connection was lost during PREPARE: ", error)};
    }
    if (error.empty() && tag == "PREPARE TRANSACTION") return {Prepared::kPrepared, ""};
    if (error.empty()) error = absl::StrCat("the server answered ", tag, " to PREPARE");
    EndTransaction();
    return {conflict ? Prepared::kConflict : Prepared::kRefused, std::move(error)};
  }

  // Does not touch a transaction that the application has begun after it has ended the
  // branch by itself.
  void RollBack() override {
    if (PQtransactionStatus(connection_) == PQTRANS_ACTIVE) StopRunning();
    if (PQtransactionStatus(connection_) == PQTRANS_INTRANS) {
      const Result inside = Take(PQexec(connection_, sql_.inside.c_str()));
      const bool ours =
          PQntuples(inside.get()) == 1 && *PQgetvalue(inside.get(), 0, 0) == 't';
      if (!ours && !Failed(inside.get())) return;
    }
    EndTransaction();
  }

 private:
  Answer NotSent() {
    const bool lost = PQstatus(connection_) != CONNECTION_OK;
    std::string why = lost ? Trimmed(PQerrorMessage(connection_))
                           : "a query of the application is still running on the "
                             "connection";
    if (lost) return {Prepared::kUnknown, std::move(why)};  // a part may have been sent
    RollBack();
    return {Prepared::kRefused, std::move(why)};
  }

  // False: there was no answer in time.
  bool AwaitResult() {
    while (PQisBusy(connection_) == 1) {
      const int wait = static_cast<int>(
          std::clamp<int64_t>((deadline_ - SystemClock().Now()).millis(), 0, 1'000'000));
      const bool unsent = PQflush(connection_) == 1;
      pollfd fd{PQsocket(connection_),
                static_cast<int16_t>(POLLIN | (unsent ? POLLOUT : 0)), 0};
      const int ready = poll(&fd, 1, wait);
      if (ready == 0 && SystemClock().Now() >= deadline_) return false;
      if (ready > 0 && PQconsumeInput(connection_) == 0) return true;  // lost
    }
    return true;
  }

  // An answer would now come too late. The next use of the connection finds it lost.
  Answer CutOff() {
    shutdown(PQsocket(connection_), SHUT_RDWR);
    while (Take(PQgetResult(connection_)) != nullptr) {
    }
    return {Prepared::kUnknown,
            absl::StrCat("no answer to PREPARE within ", timeout_.millis(),
                         " ms; the connection "
                         "was cut off")};
  }

  void StopRunning() {
    if (PGcancel* cancel = PQgetCancel(connection_)) {
      char error[256];
      (void)PQcancel(cancel, error, sizeof(error));
      PQfreeCancel(cancel);
    }
    while (true) {
      const Result result = Take(PQgetResult(connection_));
      if (result == nullptr) return;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_COPY_IN) PQputCopyEnd(connection_, "the branch is rolled back");
      // The server ends a COPY to the client only when it has lost the client.
      if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        shutdown(PQsocket(connection_), SHUT_RDWR);
      }
    }
  }

  void EndTransaction() {
    const PGTransactionStatusType status = PQtransactionStatus(connection_);
    if (status != PQTRANS_INTRANS && status != PQTRANS_INERROR) return;
    (void)Take(PQexec(connection_, "ROLLBACK"));
  }

  PGconn* const connection_;
  const wire::ApplicationManagedBranch sql_;
  const Duration timeout_;
  Timestamp deadline_;
  bool sent_ = false;
};

absl::Status CheckState(PGconn* connection) {
  if (PQstatus(connection) != CONNECTION_OK) {
    return absl::UnavailableError(absl::StrCat("the connection is not open: ",
                                               Trimmed(PQerrorMessage(connection))));
  }
  if (PQpipelineStatus(connection) != PQ_PIPELINE_OFF) {
    return absl::FailedPreconditionError(
        "the connection is in pipeline mode: leave it before Enlist");
  }
  switch (PQtransactionStatus(connection)) {
    case PQTRANS_IDLE:
      return absl::OkStatus();
    case PQTRANS_ACTIVE:
      return absl::FailedPreconditionError("a query is running on the connection");
    default:
      return absl::FailedPreconditionError(
          "the connection is in a transaction: enlist it before BEGIN");
  }
}

absl::Status Lost(PGconn* connection, const PGresult* result) {
  const std::string text = Trimmed(PQresultErrorMessage(result));
  return PQstatus(connection) == CONNECTION_OK ? absl::FailedPreconditionError(text)
                                               : absl::UnavailableError(text);
}

absl::Status BeginOn(PGconn* connection, const wire::ApplicationManagedBranch& sql) {
  const Result check = Take(PQexec(connection, sql.check.c_str()));
  if (PQntuples(check.get()) != 1) return Lost(connection, check.get());
  if (const std::string why = PQgetvalue(check.get(), 0, 0); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  const Result begun = Take(PQexec(connection, absl::StrJoin(sql.start, "; ").c_str()));
  if (!Failed(begun.get())) return absl::OkStatus();
  const absl::Status status = Lost(connection, begun.get());
  if (PQtransactionStatus(connection) != PQTRANS_IDLE) {
    (void)Take(PQexec(connection, "ROLLBACK"));
  }
  return status;
}

}  // namespace

absl::StatusOr<BranchId> Enlist(Transaction* transaction, PGconn* connection,
                                const std::string& resource, EnlistOptions options) {
  if (absl::Status s = CheckState(connection); !s.ok()) return s;
  auto start = transaction->StartApplicationManaged(resource, options.grace_period,
                                                    options.isolation);
  if (!start.ok()) return start.status();
  if (absl::Status s = BeginOn(connection, start->sql); !s.ok()) return s;
  transaction->AddApplicationManaged(
      start->branch, std::make_unique<EnlistedConnection>(
                         connection, std::move(start->sql), options.prepare_timeout));
  return start->branch;
}

}  // namespace concordat::client
