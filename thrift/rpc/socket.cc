#include "thrift/rpc/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace concordat::rpc::internal {

namespace {

const sockaddr* Raw(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

class PlainStream final : public Stream {
 public:
  explicit PlainStream(OwnedFd fd) : fd_(std::move(fd)) {}

  IoResult Read(uint8_t* buffer, size_t size) override {
    const ssize_t got = recv(fd_.get(), buffer, size, 0);
    if (got > 0) return {IoState::kDone, static_cast<size_t>(got)};
    if (got == 0) return {IoState::kEnd};
    return Failed(IoState::kWaitReadable);
  }

  IoResult Write(const uint8_t* bytes, size_t size) override {
    const ssize_t put = send(fd_.get(), bytes, size, MSG_NOSIGNAL);
    if (put >= 0) return {IoState::kDone, static_cast<size_t>(put)};
    return Failed(IoState::kWaitWritable);
  }

  [[nodiscard]] int fd() const override { return fd_.get(); }

 private:
  static IoResult Failed(IoState wait) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {wait};
    return {IoState::kError, 0, errno};
  }

  OwnedFd fd_;
};

SocketAddress NameOf(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  SocketAddress name;
  name.length = sizeof name.storage;
  if (get(fd, reinterpret_cast<sockaddr*>(&name.storage), &name.length) != 0) {
    name.length = 0;
  }
  return name;
}

// A connect to a free port in this machine's ephemeral range can connect a socket to
// itself (TCP's simultaneous open): it succeeds although no server is there.
bool IsConnectedToItself(int fd) {
  const SocketAddress local = NameOf(fd, getsockname);
  if (local.family() != AF_INET && local.family() != AF_INET6) return false;
  return Address::FromSocket(local) == Address::FromSocket(NameOf(fd, getpeername));
}

// True: the file of a Unix socket was left by a process that has ended.
bool IsStaleUnixSocket(const SocketAddress& address) {
  const OwnedFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe.valid() && connect(probe.get(), Raw(address), address.length) != 0 &&
         errno == ECONNREFUSED;
}

absl::Status ListenError(const Address& address, int error) {
  const std::string text = absl::StrCat("cannot listen on ", address.ToString(), ": ");
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(
        absl::StrCat(text, "the address is in use by another process"));
  }
  if (error == EADDRNOTAVAIL) {
    return absl::InvalidArgumentError(
        absl::StrCat(text, "not an address of this machine"));
  }
  return absl::ErrnoToStatus(error, text);
}

}  // namespace

void OwnedFd::Reset() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

std::unique_ptr<Stream> NewPlainStream(OwnedFd fd) {
  return std::make_unique<PlainStream>(std::move(fd));
}

absl::StatusOr<OwnedFd> StartConnect(const SocketAddress& target) {
  OwnedFd fd(socket(target.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot make a socket");
  if (connect(fd.get(), Raw(target), target.length) != 0 && errno != EINPROGRESS) {
    return absl::ErrnoToStatus(errno, "cannot connect");
  }
  return fd;
}

absl::Status FinishConnect(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error == 0 && IsConnectedToItself(fd)) error = ECONNREFUSED;
  if (error != 0) return absl::ErrnoToStatus(error, "cannot connect");
  return absl::OkStatus();
}

void TuneSocket(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // For a dead machine: after 10 s of quiet, keep-alive probes are sent every 5 s,
  // three times, and unacknowledged data ends the connection after 20 s. A shorter time
  // would take a peer that only does not read for a dead one.
  const int idle_s = 10;
  const int interval_s = 5;
  const int probes = 3;
  const unsigned unacknowledged_ms = 20000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms,
             sizeof unacknowledged_ms);
}

InFlight BytesInFlight(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return {};
  return {info.tcpi_unacked > 0, Duration::Millis(info.tcpi_last_ack_recv)};
}

absl::StatusOr<OwnedFd> ListenOn(const Address& address, int backlog) {
  const absl::StatusOr<std::vector<SocketAddress>> found = address.Resolve();
  if (!found.ok()) return found.status();
  const SocketAddress* const where = &found->front();
  OwnedFd fd(socket(where->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ListenError(address, errno);
  if (!address.is_unix()) {
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  int error = bind(fd.get(), Raw(*where), where->length) == 0 ? 0 : errno;
  if (error == EADDRINUSE && address.is_unix() && IsStaleUnixSocket(*where)) {
    unlink(address.host().c_str());
    error = bind(fd.get(), Raw(*where), where->length) == 0 ? 0 : errno;
  }
  if (error == 0 && listen(fd.get(), backlog) != 0) error = errno;
  if (error != 0) return ListenError(address, error);
  return fd;
}

Address LocalAddress(int fd) { return Address::FromSocket(NameOf(fd, getsockname)); }

}  // namespace concordat::rpc::internal
