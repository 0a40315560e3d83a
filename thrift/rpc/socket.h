// Sockets for this folder: descriptors that close themselves, and the byte stream
// that a connection reads and writes.
//
// TLS goes in here: a second Stream, over an SSL object on the same descriptor, made
// where NewPlainStream is called (server.cc, channel.cc). Its handshake is part of
// Read and Write, which may then ask to wait for the other direction (IoState).
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
  int fd_ = -1;
};

enum class IoState : uint8_t { kDone, kWaitReadable, kWaitWritable, kEnd, kError };

struct IoResult {
  IoState state;
  size_t bytes = 0;  // of kDone
  int error = 0;     // errno, of kError
};

// Non-blocking.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual IoResult Read(uint8_t* buffer, size_t size) = 0;
  virtual IoResult Write(const uint8_t* bytes, size_t size) = 0;
  [[nodiscard]] virtual int fd() const = 0;
};
[[nodiscard]] std::unique_ptr<Stream> NewPlainStream(OwnedFd fd);

// A non-blocking socket on which connect was called; ready once it is writable and
// FinishConnect says so.
[[nodiscard]] absl::StatusOr<OwnedFd> StartConnect(const SocketAddress& target);
// OK: connected. Otherwise why not.
[[nodiscard]] absl::Status FinishConnect(int fd);

// No delay for small writes, and a peer whose machine is gone is noticed, after 20 s.
// Without effect on Unix sockets.
void TuneSocket(int fd);

// What TCP says of bytes that the peer's machine has not acknowledged. A peer that does
// not read acknowledges all the same, until its buffer is full: then nothing more is in
// flight. Unix sockets: nothing ever is.
struct InFlight {
  bool any = false;
  Duration since_last_acknowledgement;
};
[[nodiscard]] InFlight BytesInFlight(int fd);

// A listening socket. ALREADY_EXISTS and INVALID_ARGUMENT as Server::Listen.
[[nodiscard]] absl::StatusOr<OwnedFd> ListenOn(const Address& address, int backlog);
// Where a socket is bound.
[[nodiscard]] Address LocalAddress(int fd);

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_SOCKET_H_
