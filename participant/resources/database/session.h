// One session of a database server, on an event loop. Each database implements it for its
// own protocol. What all of them have in common is here too: the states, the time-out of
// connecting, and the notice that the connection is broken.
//
//   std::shared_ptr<Session> s = dialect->NewSession(SessionUse::kWork);
//   s->Connect([](absl::Status status) { ... });
//   s->Run({{"BEGIN"}, {"UPDATE t SET x=1"}}, [](BatchResult r) { ... });
//
// A batch is one round trip. When one of its statements fails, the server skips the rest.
// Batches run in the order in which they were given. Used on the loop's thread only. A
// session is owned by shared_ptr, and callbacks may drop the last one.
#ifndef PARTICIPANT_RESOURCES_DATABASE_SESSION_H_
#define PARTICIPANT_RESOURCES_DATABASE_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "participant/resources/database/client_rows.h"
#include "participant/resources/database/statement.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

// Shared by all sessions of a resource, and read by any thread. DatabaseStats says what
// is counted.
struct Counters {
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> round_trips{0};
  std::atomic<uint64_t> lost_ends{0};
  std::atomic<uint64_t> detached{0};
  std::atomic<uint64_t> resets{0};
  std::atomic<uint64_t> left_undone{0};
};

// The reason that is given when sessions are closed, and calls refused, because their
// resource is being closed.
inline constexpr char kClosing[] = "the resource is being closed";

// What a session is made for.
enum class SessionUse : uint8_t {
  kServingLock,  // holds the lock that makes this process the only one
  kSettle,       // ends prepared branches, and finds out what became of branches
  kWork,         // runs clients' statements
};

using BatchDone = absl::AnyInvocable<void(BatchResult)>;

class Session : public std::enable_shared_from_this<Session>,
                public rpc::FdWatch::Handler {
 public:
  Session(rpc::EventLoop* loop, Duration connect_timeout, Counters* counters)
      : loop_(loop), counters_(counters), connect_timeout_(connect_timeout) {}
  // Does not call the callbacks of batches under way; Close does.
  virtual ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Connects and sets the session up. UNAVAILABLE: the server was not reached in time, or
  // the serving lock is lost. FAILED_PRECONDITION: the server refused the connection; the
  // text has its message.
  void Connect(absl::AnyInvocable<void(absl::Status)> done);
  // It is connected, and not known to be broken.
  [[nodiscard]] bool alive() const { return state_ == State::kReady; }
  // Runs a batch. The rows of clients' statements are added to `rows`, all others to the
  // results. In a session that is not alive the batch is lost at once.
  void Run(std::vector<Statement> batch, BatchDone done,
           std::shared_ptr<ClientRows> rows = nullptr);
  // Removes from the session what a branch has left in it. Called outside of a
  // transaction. The next batch is sent only when that is certain; if it fails, the
  // connection is broken.
  virtual void Reset() = 0;
  // Drops the connection. Batches under way are lost.
  void Close(const std::string& why);
  // `listener` is called once when the connection breaks, after the batches under way
  // have been called back.
  void OnBroken(absl::AnyInvocable<void()> listener) { on_broken_ = std::move(listener); }

  [[nodiscard]] const SessionId& id() const { return id_; }
  // The session is in a state in which further statements may fail that would succeed in
  // a new one. It is to be closed when its transaction is over.
  [[nodiscard]] bool spent() const { return spent_; }

  // Set by the session's owner: how much the session had written when it was last asked
  // (Dialect::WrittenAnswer), if it has certainly written nothing since. Empty: that is
  // not known.
  std::string written;

 protected:
  enum class State : uint8_t { kNew, kConnecting, kReady, kBroken };
  // A batch that will not be answered, and whose callback is still to be called.
  struct Owed {
    BatchDone done;
    bool row_too_large = false;  // see BatchResult
  };

  // Begins to connect. Connected is to be called when that has ended.
  virtual void BeginConnect() = 0;
  // Run, in a session that is alive.
  virtual void Send(std::vector<Statement> batch, BatchDone done,
                    std::shared_ptr<ClientRows> rows) = 0;
  // Closes the connection, and returns the batches that were under way.
  virtual std::vector<Owed> Drop() = 0;

  void Connected(absl::Status status);
  void Break(const std::string& why);

  rpc::EventLoop* const loop_;  // outlives this
  Counters* const counters_;    // outlives this
  State state_ = State::kNew;
  std::unique_ptr<rpc::FdWatch> watch_;  // of the connection's socket; null without one
  SessionId id_;                         // none until it is known
  bool spent_ = false;                   // see spent()
  // The callback of Connect. Null once it has been called.
  absl::AnyInvocable<void(absl::Status)> connected_;

 private:
  const Duration connect_timeout_;
  rpc::TimerId connect_timer_;            // while connecting
  absl::AnyInvocable<void()> on_broken_;  // null: nobody listens, or it was called
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_SESSION_H_
