// What one peer may cost us. On at both ends: a server does not trust its clients,
// nor a client its server. The defaults suit requests of clients; peers that send
// snapshots and log entries want a larger frame.
//
//   Limits limits;  limits.max_frame_bytes = 16 << 20;
//
// What is refused and how: server.h and channel.h.
#ifndef THRIFT_RPC_LIMITS_H_
#define THRIFT_RPC_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::rpc {

struct Limits {
  // One frame, without its four bytes of length. Nothing is allocated by what a
  // frame says of its length, only by what has arrived.
  uint32_t max_frame_bytes = 1 << 20;
  // One string or binary.
  uint32_t max_string_bytes = 1 << 20;
  // One list, set or map.
  uint32_t max_container_elements = 16384;
  // All lists, sets and maps of a frame together: an element costs one byte on the
  // wire and some hundred in memory.
  uint32_t max_frame_elements = 65536;
  // Structs in structs, the argument struct included.
  uint32_t max_depth = 16;

  // Connections of a server. One too many takes the place of another, or waits in the
  // system's queue until it can: of the oldest one that has never made a call, for at
  // least silent_before_replaced; when all have, of the one that has been quiet for
  // longest, without a call under way and for at least quiet_before_replaced.
  uint32_t max_connections = 16384;
  Duration silent_before_replaced = Duration::Millis(250);
  Duration quiet_before_replaced = Duration::Seconds(1);
  // Connections of a server from one IP address. Unix sockets count as one peer. One too
  // many is accepted and closed at once.
  uint32_t max_connections_per_peer = 8192;

  // Calls without an answer, a connection. A server stops reading at its limit until
  // answers have gone out; a channel refuses the call (kNotSent).
  uint32_t max_calls_in_flight = 4096;
  // A server stops reading from a connection whose unanswered requests are larger
  // than this together. Besides them it holds at most one frame and one read chunk.
  size_t max_buffered_in_bytes = size_t{16} << 20;
  // Answers (server) or requests (channel) that the peer does not take. A server
  // stops reading at half of it and closes beyond it, a channel refuses the call.
  size_t max_buffered_out_bytes = size_t{16} << 20;

  // A connection without a call or a byte. A channel closes a little earlier, at
  // three quarters, so that a call does not meet the server's closing.
  Duration idle_timeout = Duration::Seconds(600);
  // From the first byte of a frame to its last.
  Duration frame_timeout = Duration::Seconds(10);
  // Output waits, and the peer takes not one byte of it.
  Duration write_timeout = Duration::Seconds(30);
  // Frames refused on one connection before it is closed.
  uint32_t max_bad_frames = 16;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_LIMITS_H_
