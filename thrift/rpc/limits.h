// Limits on what one peer may cost. Both ends enforce them: a server does not trust its
// clients, and a client does not trust its server. The defaults suit requests of
// clients; peers that send snapshots and log entries need a larger frame.
//
//   Limits limits;
//   limits.max_frame_bytes = 16 << 20;
//
// server.h and channel.h say what is refused and how.
#ifndef THRIFT_RPC_LIMITS_H_
#define THRIFT_RPC_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::rpc {

struct Limits {
  // Size of one frame, without its four bytes of length. Memory is allocated for what
  // has arrived, not for the length that a frame declares.
  uint32_t max_frame_bytes = 1 << 20;
  // Size of one string or binary.
  uint32_t max_string_bytes = 1 << 20;
  // Elements of one list, set or map.
  uint32_t max_container_elements = 16384;
  // Elements of all lists, sets and maps of a frame together. An element costs one byte
  // on the wire and about a hundred bytes in memory.
  uint32_t max_frame_elements = 65536;
  // Depth of structs in structs, including the argument struct.
  uint32_t max_depth = 16;

  // Connections of a server. When there is one more, it takes the place of another one
  // or waits in the system's queue until it can. The one that is closed for it is the
  // oldest connection that has never made a call, if it has been quiet for
  // silent_before_replaced. When all have made a call, it is the one that has been
  // quiet for longest, if it has no call under way and has been quiet for
  // quiet_before_replaced.
  uint32_t max_connections = 16384;
  Duration silent_before_replaced = Duration::Millis(250);
  Duration quiet_before_replaced = Duration::Seconds(1);
  // Connections of a server from one IP address. All Unix sockets count as one address.
  // A connection above this limit is accepted and closed at once.
  uint32_t max_connections_per_peer = 8192;

  // Calls without an answer on one connection. At the limit, a server stops reading
  // until answers have been sent; a channel refuses the call (kNotSent).
  uint32_t max_calls_in_flight = 4096;
  // A server stops reading from a connection whose unanswered requests are together
  // larger than this. Besides them it holds at most one frame and one chunk of input.
  size_t max_buffered_in_bytes = size_t{16} << 20;
  // Answers (server) or requests (channel) that the peer does not take. A server stops
  // reading at half of it and closes the connection above it; a channel refuses the call.
  size_t max_buffered_out_bytes = size_t{16} << 20;

  // How long a connection may be without a call or a byte. A channel closes a little
  // earlier, at three quarters of it, so that a call does not meet the server's closing.
  Duration idle_timeout = Duration::Seconds(600);
  // From the first byte of a frame to its last.
  Duration frame_timeout = Duration::Seconds(10);
  // How long output may wait while the peer takes not one byte of it.
  Duration write_timeout = Duration::Seconds(30);
  // How many frames are refused on one connection before it is closed.
  uint32_t max_bad_frames = 16;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_LIMITS_H_
