#include "examples/processes/reserved_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace concordat::example {

absl::StatusOr<ReservedPort> ReservedPort::Take() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(absl::StrCat("socket: ", strerror(errno)));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, raw, length) != 0 || getsockname(fd, raw, &length) != 0) {
    const int error = errno;
    close(fd);
    return absl::UnavailableError(
        absl::StrCat("no free port on 127.0.0.1: ", strerror(error)));
  }
  return ReservedPort(fd, ntohs(address.sin_port));
}

ReservedPort::~ReservedPort() {
  if (fd_ >= 0) close(fd_);
}

std::string ReservedPort::address() const { return absl::StrCat("127.0.0.1:", port_); }

}  // namespace concordat::example
