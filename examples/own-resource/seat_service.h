// A seat reservation service: the part that a user writes. Copy this folder and change
// this class; the rest (main.cc) needs few changes.
//
// Its store is a SQLite file with one table. A row is a seat that is taken; a seat
// without a row is free.
//
//   reservation   seat   buyer   state
//   1.7.2a/…/1    12A    ann     tried        held for a transaction under way
//   1.7.1f/…/1    12B    bob     confirmed    sold
//
// Each function is one SQL statement, and so one atomic, durable step. The primary key is
// the reservation's id, as the SDK requires; the seat is unique because it must never be
// sold twice. A cancelled reservation leaves no row; Lookup then returns kUnknown, which
// the SDK allows.
#ifndef EXAMPLES_OWN_RESOURCE_SEAT_SERVICE_H_
#define EXAMPLES_OWN_RESOURCE_SEAT_SERVICE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/service/service.h"

struct sqlite3;

namespace concordat::example {

// Requests are texts: "book 12A ann" tries to reserve a seat, "list" asks which seats are
// taken. Seats are 1A to 20F. Thread-safe.
class SeatService final : public participant::service::Service {
 public:
  using Reservation = participant::service::Reservation;
  using State = participant::service::State;
  using TryResult = participant::service::TryResult;

  // Opens the file, or creates it.
  static absl::StatusOr<std::unique_ptr<SeatService>> Open(const std::string& file);
  ~SeatService() override;

  TryResult Try(const Reservation& reservation, std::string_view request) override;
  absl::Status Confirm(const Reservation& reservation) override;
  absl::Status Cancel(const Reservation& reservation) override;
  absl::StatusOr<State> Lookup(const Reservation& reservation) override;

  [[nodiscard]] bool IsQuery(std::string_view request) const override {
    return request == "list";
  }
  participant::service::QueryResult Query(std::string_view request) override;

 private:
  explicit SeatService(sqlite3* db) : db_(db) {}
  TryResult WhoHas(const std::string& seat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // One connection for all threads. A service with more load would have one for each.
  Mutex mutex_;
  sqlite3* const db_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace concordat::example

#endif  // EXAMPLES_OWN_RESOURCE_SEAT_SERVICE_H_
