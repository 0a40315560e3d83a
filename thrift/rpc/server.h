// Serves a Thrift service on an event loop: many calls at once on each connection,
// each answered when its handler is ready, matched by its sequence id. Speaks framed
// transport and compact protocol, so any language's plain client can call it.
//
//   class Handler : public EchoServiceCobSvIf {       // generated, cob_style
//     void echo(std::function<void(const EchoReply&)> cob, ...,
//               const EchoRequest& request) override { ... cob(reply); }
//   };
//   Server server(loop, std::make_shared<EchoServiceAsyncProcessorT<Codec>>(handler));
//   absl::StatusOr<Address> where = server.Listen(*Address::Parse("127.0.0.1:0"));
//
// AsyncProcessorT<Codec> decodes without virtual calls; the plain AsyncProcessor works
// too.
//
// Handlers. They run on the loop's thread and must not block. The callback is called
// exactly once, at once or later, ON THE LOOP'S THREAD (another thread uses
// loop->Post; checked). Arguments are gone when the handler returns: copy what is
// needed later. A callback that is destroyed without being called, on whatever
// thread, is answered with INTERNAL_ERROR for it. It may be called after the
// connection or the server is gone: nothing happens then.
//
// Exceptions declared in the IDL are answered by
//   exn_cob(TDelayedException::delayException(Refused(...)));
// also later. Plain Thrift clients get them typed, but a Channel reports them as a
// remote error without their fields, so our own IDL returns results as values.
// A std::exception thrown by a handler becomes INTERNAL_ERROR.
//
// What a bad peer gets (never a call of the handler, never a large allocation):
//   frame length zero, negative or over the limit     closed
//   not the compact protocol, sequence id unreadable  closed; the log says what it
//                                                     looked like (HTTP, TLS, …)
//   wrong message type, unknown method, malformed or oversized arguments, missing
//     required field, bytes left over                 TApplicationException, closed
//                                                     after limits.max_bad_frames
// Thrift skips an optional field of the wrong type as if it were not there. Where
// that matters, mark arguments and fields `required`.
//
// An answer that is over a limit (limits.h) is not sent, nor is the connection closed:
// see ServerOptions::too_large_code.
//
// The state of a connection:
//
//   open --(limit of calls or bytes)--> paused --(answers went out)--> open
//   open --(bad peer, time-out, peer closed, Stop, quiet and its place is needed)-->
//     closed
//
// Everything here is for the loop's thread, or before the loop runs.
#ifndef THRIFT_RPC_SERVER_H_
#define THRIFT_RPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/codec.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/limits.h"

namespace apache::thrift::async {
class TAsyncProcessor;
}

namespace concordat::rpc {

// Who is calling. A connection id is never used twice in a process.
using ConnectionId = StrongId<struct ConnectionIdTag, uint64_t>;

struct CallContext {
  ConnectionId connection;
  Address peer;

  // The call that is being dispatched: valid inside a handler, until it returns;
  // copy what is needed later. Null outside.
  [[nodiscard]] static const CallContext* Current();
};

struct ServerOptions {
  // In messages of this server (process.h).
  std::string name = "rpc";
  int listen_backlog = 1024;
  // What is answered in place of an answer that is over a limit. Where every reply
  // struct's field 1 is a struct of a code (field 1, i32) and a text (field 2), as in
  // our own IDL: such a reply with this code, and a text that names size and limit.
  // None: TApplicationException INTERNAL_ERROR with that text.
  std::optional<int32_t> too_large_code = std::nullopt;
};

struct ServerStats {
  uint64_t accepted = 0;
  uint64_t refused_connections = 0;  // over max_connections_per_peer
  uint64_t replaced = 0;             // quiet, and their place was needed
  uint64_t accept_pauses = 0;        // at a limit, or out of descriptors or memory
  uint64_t calls = 0;                // dispatched to the processor
  uint64_t bad_frames = 0;
  uint64_t timed_out = 0;  // closed: idle, slow sender or slow reader
  size_t connections = 0;  // now
};

namespace internal {
class ServerCore;
}

class Server {
 public:
  Server(EventLoop* loop,
         std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor,
         Limits limits = {}, ServerOptions options = {});
  // Closes everything at once.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts to accept; several addresses may be listened on. Returns the address with
  // the port that was chosen. ALREADY_EXISTS: the address is in use; INVALID_ARGUMENT:
  // not an address of this machine, or a path that is too long; otherwise the
  // system's error. Every message names the address. A Unix socket's file left over
  // by a process that is gone is replaced.
  [[nodiscard]] absl::StatusOr<Address> Listen(const Address& address);

  // Stops accepting and reading; calls under way may still be answered within
  // `grace`, then everything is closed and `done` runs. `done` may destroy the server.
  void Stop(Duration grace, absl::AnyInvocable<void()> done);

  [[nodiscard]] ServerStats stats() const;

 private:
  std::shared_ptr<internal::ServerCore> core_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_SERVER_H_
