// A service of your own as a resource manager, by four functions: Try, Confirm, Cancel
// and Lookup. For anything that reserves: seats, stock, coupons, hotel rooms.
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
// examples/own-resource is a whole one, to copy. Whoever wants X/Open's verbs themselves
// implements participant/sdk/resource_manager.h instead.
//
// # Who does what
//
// You keep the data, in a store of any kind (a file, a database, a server), and do four
// small things to it, each durable when the function returns OK. The SDK decides when.
// It keeps a log of its own of what it has asked you and what was promised in your name,
// so it knows after any crash which function has to be called, and for what.
//
// A *reservation* is what one Try makes. It has an id that is never used twice
// (Reservation::Id); keep it with what you reserve, under a unique key. A branch, one
// transaction's part at your service, may hold several: each call of a client is one
// Try, numbered from 1. They are confirmed or cancelled together, one after the other.
//
//                    Try: Refused, Conflict
//                 +---------------------------> (not there)
//                 |
//   (not there) --Try--> tried --Confirm--> confirmed      for good
//        |                 |
//        +-----Cancel------+----Cancel----> cancelled      free for others again
//
// # What you may rely on
//
//   - Try is called once for an id, before anything else for it, never after its Cancel.
//   - Confirm and Cancel are called only by the decision of the transaction. Confirm
//     only for what Try has Reserved; never both, whatever crashes when.
//   - They are repeated until they return OK, but never blindly: when one has failed, or
//     the process has died in it, Lookup is asked first, and it is called again only if
//     the answer is kTried (Cancel also for kUnknown). After OK, and after Lookup has
//     said that it is done, it is never called again.
//   - For one branch there is one call at a time. Calls for different branches come at
//     once, on several threads: lock what they share.
//   - Repeated, late and made-up requests of clients and coordinators do not reach you:
//     a second Try of one call, a Cancel before its Try, a Try after a Cancel, a Confirm
//     without a Try.
//
// # What you promise
//
//   - OK means durable: it survives the loss of power. Nothing else is asked of your
//     store, and nothing less.
//   - After Try has Reserved, Confirm can be done: check at Try whatever could refuse
//     it. What is tried is kept from others until Confirm or Cancel, for ever if need be;
//     no time-out of yours ends it.
//   - Each function is one atomic step: when the process dies in it, Lookup says before
//     or after, never between.
//   - Lookup tells the truth for every reservation until ForgetBelow has passed it. A
//     cancelled one may be forgotten at once (kUnknown serves as well).
//   - No function waits for a transaction, or for an operator. A function that never
//     returns stops its branch, and keeps the service from being closed: calls to
//     other servers need a time-out.
//
// If your store is another server, a call of a process that has died may still arrive
// there. Then make each step conditional in the store (INSERT of the id under a unique
// key for Try; UPDATE … WHERE id = … AND state = 'tried' for the others), and have Cancel
// of an unknown id leave a row "cancelled", on which the late Try fails. In a store
// that dies with the process (SQLite, files, memory) nothing arrives late, and Cancel of
// an unknown id does nothing and returns OK.
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

// What one Try makes, and the other functions are about.
struct Reservation {
  BranchId branch;
  uint64_t number = 0;  // of the Try within the branch, from 1

  // Its key for your store: printable, no spaces, at most 120 characters, never used
  // twice, also not by another cluster. "1.7.2a/seats/5f3c.9/1"
  [[nodiscard]] std::string Id() const {
    return ToString(branch) + "/" + std::to_string(number);
  }
  [[nodiscard]] const Gtid& gtid() const { return branch.gtid; }

  friend auto operator<=>(const Reservation&, const Reservation&) = default;
};

// What Try has done.
struct TryResult {
  enum class Kind : uint8_t { kReserved, kRefused, kConflict, kFailed };

  // It is reserved, durably. `reply` goes to the client, at most kMaxAnswerBytes.
  static TryResult Reserved(std::string reply) {
    return {Kind::kReserved, std::move(reply)};
  }
  // It cannot be had (sold out, no such seat). Nothing is reserved, and never will be
  // under this id. The client gets CONDITION_FAILED with your words; the branch lives
  // on, and it may try something else in it.
  static TryResult Refused(std::string why) { return {Kind::kRefused, std::move(why)}; }
  // Another transaction has it for now. Nothing is reserved. The client gets CONFLICT;
  // the branch is cancelled, and the transaction should be run again (Client::Run does).
  static TryResult Conflict(std::string why) { return {Kind::kConflict, std::move(why)}; }
  // Something broke, and it is not known whether it is reserved (a lost connection, a
  // time-out). The client gets RESOURCE_ERROR; the branch is cancelled, Lookup first.
  static TryResult Failed(std::string why) { return {Kind::kFailed, std::move(why)}; }

  Kind kind = Kind::kFailed;
  std::string text;  // the reply, or why
};

// What a query gives: no reservation, only an answer. OK, or INVALID_ARGUMENT for a bad
// request; anything else is told as RESOURCE_ERROR and ends the branch.
using QueryResult = absl::StatusOr<std::string>;

// What became of a reservation.
enum class State : uint8_t {
  kTried,      // reserved, neither confirmed nor cancelled
  kConfirmed,  //
  kCancelled,  // nothing is held; the id will never be reserved
  kUnknown,    // no trace of it: never tried, or cancelled and forgotten
};

// The simple form: functions that block, called on threads of the SDK (how many:
// ServiceOptions::threads). They may throw; that is taken as Failed, or as an error.
class Service {
 public:
  virtual ~Service() = default;

  // Reserves what `request` asks for, in your own encoding (ExecuteRequest.opaque).
  virtual TryResult Try(const Reservation& reservation, std::string_view request) = 0;

  // Makes it final. It is owed: return an error only if it cannot be done now (say why;
  // operators read it), and it is asked for again, with back-off, for as long as it
  // takes.
  virtual absl::Status Confirm(const Reservation& reservation) = 0;

  // Gives it up. OK also for one that is not there. Errors as for Confirm. A confirmed
  // one must be left alone, with an error: that can only be a call that came late.
  virtual absl::Status Cancel(const Reservation& reservation) = 0;

  // What became of it. An error: cannot tell now, ask again.
  virtual absl::StatusOr<State> Lookup(const Reservation& reservation) = 0;

  // --- may be left out ---

  // Whether a request only asks, so that it goes to Query instead of Try: no record, no
  // flush, and a branch that did nothing else votes READ_ONLY. Called on the loop's
  // thread: it must not block.
  [[nodiscard]] virtual bool IsQuery(std::string_view /*request*/) const { return false; }
  // Answers from what is there, without holding it. May be stale at once.
  virtual QueryResult Query(std::string_view /*request*/) {
    return absl::UnimplementedError("this service answers no queries");
  }

  // No reservation of transactions of this group below the watermark will be asked for
  // again: what was kept only to answer Lookup may be dropped. Comes again and again with
  // higher ones, also after a restart; an error changes nothing.
  virtual absl::Status ForgetBelow(const Gtid& /*watermark*/) { return absl::OkStatus(); }
};

// The same for services that are asynchronous themselves. The calls are made on the
// loop's thread or any other and must not block; `done` is called exactly once, on any
// thread, also before the call has returned. The arguments live during the call only.
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
  // All calls have been called back; returns when no thread of the service is inside
  // one of those callbacks any more. Nothing is called after it.
  virtual void Close() = 0;
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_SERVICE_H_
