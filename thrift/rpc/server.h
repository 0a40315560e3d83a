// Serves a Thrift service on an event loop. Many calls may be under way on each
// connection; each is answered when its handler is ready, and the sequence id assigns
// the answer to its call. The server speaks framed transport and compact protocol, so a
// plain Thrift client in any language can call it.
//
//   class Handler : public EchoServiceCobSvIf {       // generated, cob_style
//     void echo(std::function<void(const EchoReply&)> cob,
//               std::function<void(apache::thrift::TDelayedException*)> exn_cob,
//               const EchoRequest& request) override {
//       cob(Answer(request));
//     }
//     …                                      // and the service's other methods
//   };
//   Server server(loop, std::make_shared<EchoServiceAsyncProcessorT<Codec>>(handler));
//   absl::StatusOr<Address> where = server.Listen(*Address::Parse("127.0.0.1:0"));
//
// AsyncProcessorT<Codec> decodes without virtual calls. The plain AsyncProcessor works
// too.
//
// Handlers run on the loop's thread and must not block. A handler's callback is called
// exactly once, at once or later, on the loop's thread; this is checked, and another
// thread must use loop->Post. The arguments are valid only until the handler returns,
// so what is needed later must be copied. If a callback is destroyed without being
// called, on whatever thread, the server answers INTERNAL_ERROR. A callback may be
// called after the connection or the server is gone; it then does nothing.
//
// To answer with an exception that is declared in the IDL, a handler calls, at once or
// later,
//   exn_cob(TDelayedException::delayException(refused));
// Plain Thrift clients get such an exception with its type, but a Channel reports it as
// a remote error without its fields, so our own IDL returns results as values. A
// std::exception thrown by a handler becomes INTERNAL_ERROR.
//
// What the server does to a bad peer (it never calls the handler and never allocates
// much):
//   frame length zero, negative or over the limit     closes
//   not the compact protocol, sequence id unreadable  closes; the log says what the
//                                                     bytes are like (HTTP, TLS, …)
//   wrong message type, unknown method, malformed or  answers TApplicationException,
//     oversized arguments, missing required field,    closes after
//     bytes left over                                 limits.max_bad_frames
// Thrift skips an optional field of the wrong type as if it were absent. Where that
// matters, arguments and fields should be `required`.
//
// An answer that is over a limit (limits.h) is not sent, and the connection stays open:
// see ServerOptions::too_large_code.
//
// The state of a connection:
//
//   open --(limit of calls or bytes)--> paused --(answers were sent)--> open
//   open --(bad peer, time-out, peer closed, Stop, quiet and its place is needed)-->
//     closed
//
// All functions are called on the loop's thread, or before the loop runs.
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

// The id of a caller's connection. It is never used twice in a process.
using ConnectionId = StrongId<struct ConnectionIdTag, uint64_t>;

// Who makes a call.
struct CallContext {
  ConnectionId connection;
  Address peer;

  // The context of the call that is being dispatched. It is valid inside a handler
  // until the handler returns; copy what is needed later. Null outside handlers.
  [[nodiscard]] static const CallContext* Current();
};

struct ServerOptions {
  // Names this server in its log messages (process.h).
  std::string name = "rpc";
  int listen_backlog = 1024;  // listen(2): connections that wait for accept
  // What is answered in place of an answer that is over a limit. Set it where field 1
  // of every reply struct is a struct of a code (field 1, i32) and a text (field 2), as
  // in our own IDL: the server then sends such a reply with this code and a text that
  // names size and limit. Not set: TApplicationException INTERNAL_ERROR with that text.
  std::optional<int32_t> too_large_code = std::nullopt;
};

struct ServerStats {
  uint64_t accepted = 0;             // connections, since the start
  uint64_t refused_connections = 0;  // closed for max_connections_per_peer
  uint64_t replaced = 0;             // quiet connections closed for a new one
  uint64_t accept_pauses = 0;        // at a limit, or out of descriptors or memory
  uint64_t calls = 0;                // passed to the processor
  uint64_t bad_frames = 0;           // frames that were refused
  uint64_t timed_out = 0;  // connections closed as idle, slow sender or slow reader
  size_t connections = 0;  // open now
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

  // Starts to accept connections. Listen may be called for several addresses. Returns
  // the address with the port that was chosen. ALREADY_EXISTS: the address is in use.
  // INVALID_ARGUMENT: it is no address of this machine, or the path is too long.
  // Otherwise the system's error. Every message contains the address. The file of a
  // Unix socket that an ended process left is replaced.
  [[nodiscard]] absl::StatusOr<Address> Listen(const Address& address);

  // Stops accepting and reading. Calls under way may still be answered within `grace`;
  // then everything is closed and `done` runs, which may destroy the server.
  void Stop(Duration grace, absl::AnyInvocable<void()> done);

  [[nodiscard]] ServerStats stats() const;

 private:
  std::shared_ptr<internal::ServerCore> core_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_SERVER_H_
