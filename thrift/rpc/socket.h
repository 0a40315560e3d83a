// Sockets for this folder: descriptors that close themselves, and the byte stream that
// a connection reads and writes.
//
// TLS belongs here: it would be a second Stream, with an SSL object on the same
// descriptor, made where NewPlainStream is called (server.cc, channel.cc). Its
// handshake would be part of Read and Write, which may then ask to wait for the other
// direction (IoState).
#ifndef THRIFT_RPC_SOCKET_H_
#define THRIFT_RPC_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "thrift/rpc/address.h"

namespace concordat::rpc::internal {

class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~OwnedFd() { Reset(); }

  void Reset();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;  // -1: none
};

enum class IoState : uint8_t { kDone, kWaitReadable, kWaitWritable, kEnd, kError };

struct IoResult {
  IoState state;
  size_t bytes = 0;  // valid with kDone
  int error = 0;     // errno; valid with kError
};

// A non-blocking stream of bytes. It owns its descriptor.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual IoResult Read(uint8_t* buffer, size_t size) = 0;
  virtual IoResult Write(const uint8_t* bytes, size_t size) = 0;
  [[nodiscard]] virtual int fd() const = 0;
};
[[nodiscard]] std::unique_ptr<Stream> NewPlainStream(OwnedFd fd);

// Creates a non-blocking socket and calls connect on it. The socket is connected once
// it is writable and FinishConnect returns OK.
[[nodiscard]] absl::StatusOr<OwnedFd> StartConnect(const SocketAddress& target);
// OK: the socket is connected. Otherwise the reason why it is not.
[[nodiscard]] absl::Status FinishConnect(int fd);

// Turns off the delay of small writes, and has a peer whose machine is gone noticed
// after 20 s. No effect on Unix sockets.
void TuneSocket(int fd);

// What TCP knows of bytes that the peer's machine has not acknowledged. A peer that
// does not read still acknowledges until its buffer is full; then nothing more is in
// flight. For Unix sockets nothing ever is in flight.
struct InFlight {
  bool any = false;  // sent bytes are not acknowledged
  Duration since_last_acknowledgement;
};
[[nodiscard]] InFlight BytesInFlight(int fd);

// Returns a listening socket. ALREADY_EXISTS and INVALID_ARGUMENT as in Server::Listen.
[[nodiscard]] absl::StatusOr<OwnedFd> ListenOn(const Address& address, int backlog);
// The address that a socket is bound to.
[[nodiscard]] Address LocalAddress(int fd);

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_SOCKET_H_
