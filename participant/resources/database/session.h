// One session of a database server, on an event loop: what each database implements for
// its own protocol. What all of them have in common is here, too: the states, the
// time-out of connecting, and who is told when the connection breaks.
//
//   std::shared_ptr<Session> s = dialect->NewSession(SessionUse::kWork);
//   s->Connect([](absl::Status status) { ... });
//   s->Run({{"BEGIN"}, {"UPDATE t SET x=1"}}, [](BatchResult r) { ... });
//
// A batch is one round trip. When a statement fails, the server skips the rest of it.
// Batches are done in order. All for the loop's thread; it lives in a shared_ptr, and
// callbacks may drop it.
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

// Shared by all sessions of a resource; read by any thread.
struct Counters {
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> round_trips{0};
  std::atomic<uint64_t> lost_ends{0};
  std::atomic<uint64_t> detached{0};
  std::atomic<uint64_t> resets{0};
  std::atomic<uint64_t> left_undone{0};
};

// Why sessions are closed, and calls refused, when their resource is.
inline constexpr char kClosing[] = "the resource is being closed";

// What a session is made for.
enum class SessionUse : uint8_t {
  kServingLock,  // holds the lock that makes this process the only one
  kSettle,       // ends prepared branches, and looks at what is there
  kWork,         // runs clients' statements
};

using BatchDone = absl::AnyInvocable<void(BatchResult)>;

class Session : public std::enable_shared_from_this<Session>,
                public rpc::FdWatch::Handler {
 public:
  Session(rpc::EventLoop* loop, Duration connect_timeout, Counters* counters)
      : loop_(loop), counters_(counters), connect_timeout_(connect_timeout) {}
  // Callbacks that are owed are not called: see Close.
  virtual ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Connects and sets the session up. UNAVAILABLE: not reached, not in time, or the
  // serving lock is lost. FAILED_PRECONDITION: the server refused us; its words are in
  // the message.
  void Connect(absl::AnyInvocable<void(absl::Status)> done);
  // Connected, and not known to be broken.
  [[nodiscard]] bool alive() const { return state_ == State::kReady; }
  // On a session that is not alive: lost, at once. The rows of clients' statements go to
  // `rows`, all others into the results.
  void Run(std::vector<Statement> batch, BatchDone done,
           std::shared_ptr<ClientRows> rows = nullptr);
  // After a branch, outside of a transaction: nothing of it stays in the session. What is
  // run next is sent when that is certain; when it cannot be, the connection breaks.
  virtual void Reset() = 0;
  // Drops the connection; batches under way are lost.
  void Close(const std::string& why);
  // Called once when the connection breaks, after the batches have been called back.
  void OnBroken(absl::AnyInvocable<void()> listener) { on_broken_ = std::move(listener); }

  [[nodiscard]] const SessionId& id() const { return id_; }
  // Whatever it is asked next may go wrong for reasons of its own: it is to be closed
  // when what it has begun is over.
  [[nodiscard]] bool spent() const { return spent_; }

  // For the owner of the session: how much it had written when it was last asked
  // (Dialect::WrittenAnswer), if it has certainly written nothing since. Empty: not
  // known.
  std::string written;

 protected:
  enum class State : uint8_t { kNew, kConnecting, kReady, kBroken };
  // A batch that will not be answered.
  struct Owed {
    BatchDone done;
    bool row_too_large = false;
  };

  // Begins to connect; ends in Connected.
  virtual void BeginConnect() = 0;
  // The session is alive.
  virtual void Send(std::vector<Statement> batch, BatchDone done,
                    std::shared_ptr<ClientRows> rows) = 0;
  // Closes the connection, and gives up its batches.
  virtual std::vector<Owed> Drop() = 0;

  void Connected(absl::Status status);
  void Break(const std::string& why);

  rpc::EventLoop* const loop_;
  Counters* const counters_;
  State state_ = State::kNew;
  std::unique_ptr<rpc::FdWatch> watch_;
  SessionId id_;
  bool spent_ = false;
  // Null once it is connected, or has failed to.
  absl::AnyInvocable<void(absl::Status)> connected_;

 private:
  const Duration connect_timeout_;
  rpc::TimerId connect_timer_;
  absl::AnyInvocable<void()> on_broken_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_SESSION_H_
