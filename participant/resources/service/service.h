// Makes a service of your own a resource manager with four functions: Try, Confirm,
// Cancel and Lookup. It suits anything that reserves: seats, stock, coupons, hotel rooms.
//
//   class SeatService : public service::Service {
//     TryResult Try(const Reservation& r, std::string_view request) override;
//     absl::Status Confirm(const Reservation& r) override;
//     absl::Status Cancel(const Reservation& r) override;
//     absl::StatusOr<State> Lookup(const Reservation& r) override;
//   };
//   auto manager = std::make_unique<service::ServiceResourceManager>(   // next header
//       "/var/lib/seats/branches", std::make_unique<SeatService>());
//
// ServiceResourceManager is in service_resource_manager.h. examples/own-resource is a
// complete service to copy. To implement X/Open's verbs themselves, implement
// participant/sdk/resource_manager.h instead.
//
// # Who does what
//
// You keep the data in a store of any kind (a file, a database, a server) and change it
// in four small steps, each durable when its function returns OK. The SDK decides when a
// step is due. It keeps a log of its own of what it has asked of you and what was
// promised in your name, so after any crash it knows which function must be called for
// which reservation.
//
// A *reservation* is what one Try makes. It has an id that is never used twice
// (Reservation::Id); store it with what you reserve, under a unique key. A branch, one
// transaction's part at your service, may hold several reservations: each call of a
// client is one Try, numbered from 1. They are confirmed or cancelled together, one after
// another.
//
//                    Try: Refused, Conflict
//                 +---------------------------> (not there)
//                 |
//   (not there) --Try--> tried --Confirm--> confirmed      final
//        |                 |
//        +-----Cancel------+----Cancel----> cancelled      free for others again
//
// # What you may rely on
//
//   - Try is called once for an id, before anything else for it, and never after its
//     Cancel.
//   - Confirm and Cancel are called only by the decision of the transaction, and Confirm
//     only for what Try has Reserved. They are never both called, whatever crashes when.
//   - They are repeated until they return OK, but never blindly: when one has failed, or
//     the process has died in it, Lookup is called first, and the function is called
//     again only if the answer is kTried (Cancel also for kUnknown). After OK, and after
//     Lookup has said that it is done, it is never called again.
//   - There is only one call at a time for one branch. Calls for different branches come
//     at the same time, on several threads: lock what they share.
//   - Repeated, late and forged requests of clients and coordinators do not reach you:
//     a second Try of one call, a Cancel before its Try, a Try after a Cancel, a Confirm
//     without a Try.
//
// # What you promise
//
//   - OK means durable: the step survives the loss of power. Nothing else is asked of
//     your store, and nothing less.
//   - After Try has Reserved, Confirm can be done: Try must check everything that could
//     prevent it. What is tried is kept from others until Confirm or Cancel, however long
//     that takes; no time-out of yours ends it.
//   - Each function is one atomic step: when the process dies in it, Lookup returns the
//     state before or after the step, never one between.
//   - Lookup tells the truth for every reservation until ForgetBelow has passed it. A
//     cancelled reservation may be forgotten at once (kUnknown is as good).
//   - No function waits for a transaction or a user. A function that never returns stops
//     its branch and prevents the service from being closed: calls to other servers need
//     a time-out.
//
// If your store is another server, a call of a process that has died may still arrive
// there. Then make each step conditional in the store (INSERT of the id under a unique
// key for Try; UPDATE … WHERE id = … AND state = 'tried' for the others), and have Cancel
// of an unknown id insert a row "cancelled", on which the late Try fails. In a store that
// dies with the process (SQLite, files, memory) nothing arrives late, and Cancel of an
// unknown id does nothing and returns OK.
#ifndef PARTICIPANT_RESOURCES_SERVICE_SERVICE_H_
#define PARTICIPANT_RESOURCES_SERVICE_SERVICE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/xid.h"

namespace concordat::participant::service {

// What one Try makes; the other functions refer to it.
struct Reservation {
  BranchId branch;
  uint64_t number = 0;  // number of the Try within the branch, from 1

  // Its key for your store: printable, without spaces, at most 120 characters. It is
  // never used twice, not even by another cluster. Example: "1.7.2a/seats/5f3c.9/1".
  [[nodiscard]] std::string Id() const {
    return ToString(branch) + "/" + std::to_string(number);
  }
  [[nodiscard]] const Gtid& gtid() const { return branch.gtid; }

  friend auto operator<=>(const Reservation&, const Reservation&) = default;
};

// The result of Try.
struct TryResult {
  enum class Kind : uint8_t { kReserved, kRefused, kConflict, kFailed };

  // The reservation is made and durable. `reply` goes to the client; it has at most
  // kMaxAnswerBytes.
  static TryResult Reserved(std::string reply) {
    return {Kind::kReserved, std::move(reply)};
  }
  // The request cannot be met (sold out, no such seat). Nothing is reserved, and nothing
  // ever will be under this id. The client gets CONDITION_FAILED with the text `why`; the
  // branch stays active, and the client may try something else in it.
  static TryResult Refused(std::string why) { return {Kind::kRefused, std::move(why)}; }
  // Another transaction holds what was requested. Nothing is reserved. The client gets
  // CONFLICT; the branch is cancelled, and the transaction should be run again
  // (Client::Run does).
  static TryResult Conflict(std::string why) { return {Kind::kConflict, std::move(why)}; }
  // Something failed, and it is not known whether the reservation was made (a lost
  // connection, a time-out). The client gets RESOURCE_ERROR; the branch is cancelled,
  // after a Lookup.
  static TryResult Failed(std::string why) { return {Kind::kFailed, std::move(why)}; }

  Kind kind = Kind::kFailed;
  std::string text;  // the reply, or the reason
};

// The result of a query: an answer without a reservation. It is OK, or INVALID_ARGUMENT
// for a bad request; any other error becomes RESOURCE_ERROR and ends the branch.
using QueryResult = absl::StatusOr<std::string>;

// The state of a reservation.
enum class State : uint8_t {
  kTried,      // reserved, neither confirmed nor cancelled
  kConfirmed,  // final
  kCancelled,  // nothing is held, and the id will never be reserved
  kUnknown,    // there is no trace of it: never tried, or cancelled and forgotten
};

// The simple form: functions that may block. They are called on threads of the SDK
// (ServiceOptions::threads). They may throw; an exception counts as Failed, or as an
// error.
class Service {
 public:
  virtual ~Service() = default;

  // Reserves what `request` asks for; it is in your own encoding (ExecuteRequest.opaque).
  virtual TryResult Try(const Reservation& reservation, std::string_view request) = 0;

  // Makes the reservation final. This is owed: return an error only if it cannot be done
  // now, with a text for operators. It is then called again, with back-off, for as long
  // as it takes.
  virtual absl::Status Confirm(const Reservation& reservation) = 0;

  // Gives the reservation up. Returns OK also for one that does not exist. Errors as for
  // Confirm. A confirmed reservation must not be changed; return an error, since only a
  // late call can ask for this.
  virtual absl::Status Cancel(const Reservation& reservation) = 0;

  // Returns the state of the reservation. An error means that it is not known now; Lookup
  // is then called again.
  virtual absl::StatusOr<State> Lookup(const Reservation& reservation) = 0;

  // --- these may be left out ---

  // True: the request only asks, so it goes to Query instead of Try. A query writes no
  // record and needs no flush, and a branch with nothing else votes READ_ONLY. IsQuery is
  // called on the loop's thread and must not block.
  [[nodiscard]] virtual bool IsQuery(std::string_view /*request*/) const { return false; }
  // Answers from the present state without reserving it. The answer may be outdated at
  // once.
  virtual QueryResult Query(std::string_view /*request*/) {
    return absl::UnimplementedError("this service answers no queries");
  }

  // Says that no reservation of this group's transactions below the watermark will be
  // asked for again: what was kept only to answer Lookup may be deleted. It is called
  // again and again with higher watermarks, also after a restart. An error has no effect.
  virtual absl::Status ForgetBelow(const Gtid& /*watermark*/) { return absl::OkStatus(); }
};

// The form for services that are asynchronous themselves. The functions are called on the
// loop's thread or any other and must not block. `done` is called exactly once, on any
// thread, and may be called before the function returns. The arguments are valid only
// during the call.
class AsyncService {
 public:
  template <class T>
  using Callback = absl::AnyInvocable<void(T)>;

  virtual ~AsyncService() = default;
  virtual void Try(const Reservation& reservation, std::string_view request,
                   Callback<TryResult> done) = 0;
  virtual void Confirm(const Reservation& reservation, Callback<absl::Status> done) = 0;
  virtual void Cancel(const Reservation& reservation, Callback<absl::Status> done) = 0;
  virtual void Lookup(const Reservation& reservation,
                      Callback<absl::StatusOr<State>> done) = 0;
  [[nodiscard]] virtual bool IsQuery(std::string_view /*request*/) const { return false; }
  virtual void Query(std::string_view /*request*/, Callback<QueryResult> done) {
    done(absl::UnimplementedError("this service answers no queries"));
  }
  virtual void ForgetBelow(const Gtid& /*watermark*/, Callback<absl::Status> done) {
    done(absl::OkStatus());
  }
  // Called when all calls have been answered. It returns when no thread of the service is
  // inside one of their callbacks any more. Nothing is called after it.
  virtual void Close() = 0;
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_SERVICE_H_
