#include "examples/own-resource/seat_service.h"

#include <sqlite3.h>

#include <cctype>
#include <sstream>

namespace concordat::example {
namespace {

// In WAL mode with synchronous=FULL a commit is on disk when the statement returns. The
// functions below may return OK only because of that.
constexpr char kSetUp[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "CREATE TABLE IF NOT EXISTS taken("
    "  reservation TEXT PRIMARY KEY,"
    "  seat TEXT NOT NULL UNIQUE,"
    "  buyer TEXT NOT NULL,"
    "  state TEXT NOT NULL CHECK(state IN ('tried','confirmed')));";

// The result of one statement with text parameters. Columns are separated by spaces.
struct Outcome {
  int code = SQLITE_OK;  // SQLITE_DONE: it has run
  std::string rows;
  int changed = 0;
  std::string error;

  [[nodiscard]] bool ok() const { return code == SQLITE_DONE; }
};

Outcome Run(sqlite3* db, const char* sql, std::initializer_list<std::string> parameters) {
  Outcome outcome;
  sqlite3_stmt* statement = nullptr;
  outcome.code = sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
  int index = 0;
  for (const std::string& text : parameters) {
    sqlite3_bind_text(statement, ++index, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
  }
  while ((outcome.code = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      outcome.rows += (i > 0 ? " " : "") + std::string(text == nullptr ? "" : text);
    }
    outcome.rows += '\n';
  }
  if (!outcome.ok()) outcome.error = sqlite3_errmsg(db);
  outcome.changed = sqlite3_changes(db);
  sqlite3_finalize(statement);
  return outcome;
}

bool IsSeat(const std::string& seat) {
  if (seat.size() < 2 || seat.size() > 3 || seat[0] == '0') return false;
  int row = 0;
  for (size_t i = 0; i + 1 < seat.size(); ++i) {
    if (std::isdigit(static_cast<unsigned char>(seat[i])) == 0) return false;
    row = row * 10 + (seat[i] - '0');
  }
  return row >= 1 && row <= 20 && seat.back() >= 'A' && seat.back() <= 'F';
}

}  // namespace

absl::StatusOr<std::unique_ptr<SeatService>> SeatService::Open(const std::string& file) {
  sqlite3* db = nullptr;
  const int opened = sqlite3_open(file.c_str(), &db);
  std::unique_ptr<SeatService> service(new SeatService(db));
  if (opened != SQLITE_OK || sqlite3_exec(db, kSetUp, nullptr, nullptr, nullptr) != 0) {
    return absl::FailedPreconditionError(file + ": " + sqlite3_errmsg(db));
  }
  return service;
}

SeatService::~SeatService() { sqlite3_close(db_); }

SeatService::TryResult SeatService::Try(const Reservation& reservation,
                                        std::string_view request) {
  std::istringstream words{std::string(request)};
  std::string verb;
  std::string seat;
  std::string buyer;
  if (!(words >> verb >> seat >> buyer) || verb != "book") {
    return TryResult::Refused("say \"book SEAT BUYER\", or \"list\"");
  }
  if (!IsSeat(seat)) return TryResult::Refused("there is no seat " + seat);
  MutexLock lock(&mutex_);
  const Outcome inserted = Run(db_, "INSERT INTO taken VALUES(?1, ?2, ?3, 'tried')",
                               {reservation.Id(), seat, buyer});
  if (inserted.ok()) return TryResult::Reserved(seat + " is held for " + buyer);
  if (inserted.code == SQLITE_CONSTRAINT) return WhoHas(seat);
  return TryResult::Failed(inserted.error);
}

// Whether the seat is sold, or only reserved by a transaction that may still be rolled
// back. After Conflict the client tries again.
SeatService::TryResult SeatService::WhoHas(const std::string& seat) {
  const Outcome row = Run(db_, "SELECT state FROM taken WHERE seat = ?1", {seat});
  if (row.rows == "tried\n") return TryResult::Conflict(seat + " is held by another");
  return TryResult::Refused(seat + " is sold");
}

absl::Status SeatService::Confirm(const Reservation& reservation) {
  MutexLock lock(&mutex_);
  const Outcome updated = Run(db_,
                              "UPDATE taken SET state = 'confirmed' "
                              "WHERE reservation = ?1 AND state = 'tried'",
                              {reservation.Id()});
  if (!updated.ok()) return absl::UnavailableError(updated.error);
  // The SDK calls Confirm only for what was tried, so the table was changed by hand.
  if (updated.changed == 0) return absl::NotFoundError("no such reservation is held");
  return absl::OkStatus();
}

absl::Status SeatService::Cancel(const Reservation& reservation) {
  MutexLock lock(&mutex_);
  const Outcome deleted =
      Run(db_, "DELETE FROM taken WHERE reservation = ?1 AND state = 'tried'",
          {reservation.Id()});
  if (!deleted.ok()) return absl::UnavailableError(deleted.error);
  return absl::OkStatus();  // also if there was no row
}

absl::StatusOr<SeatService::State> SeatService::Lookup(const Reservation& reservation) {
  MutexLock lock(&mutex_);
  const Outcome row =
      Run(db_, "SELECT state FROM taken WHERE reservation = ?1", {reservation.Id()});
  if (!row.ok()) return absl::UnavailableError(row.error);
  if (row.rows.empty()) return State::kUnknown;
  return row.rows == "confirmed\n" ? State::kConfirmed : State::kTried;
}

participant::service::QueryResult SeatService::Query(std::string_view /*request*/) {
  MutexLock lock(&mutex_);
  const Outcome rows = Run(db_, "SELECT seat, state, buyer FROM taken ORDER BY seat", {});
  if (!rows.ok()) return absl::UnavailableError(rows.error);
  return rows.rows;
}

}  // namespace concordat::example
