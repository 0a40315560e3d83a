// Where a server listens: "host:port", "[::1]:port" or "unix:/path".
//
//   auto address = Address::Parse("127.0.0.1:7070");
//   address->ToString();    // the same text again
//
// Port 0 is for listening only: the system chooses, Server::Listen returns which.
#ifndef THRIFT_RPC_ADDRESS_H_
#define THRIFT_RPC_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace concordat::rpc {

// A socket address in the kernel's form.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] int family() const { return storage.ss_family; }
};

class Address {
 public:
  // No address; ToString() gives "".
  Address() = default;

  // INVALID_ARGUMENT, naming the text and what is wrong with it. Names are not
  // looked up here.
  [[nodiscard]] static absl::StatusOr<Address> Parse(std::string_view text);
  [[nodiscard]] static Address Unix(std::string path);
  [[nodiscard]] static Address Tcp(std::string host, uint16_t port);
  // What accept, getsockname and getpeername give. A peer on a Unix socket has no
  // path: "unix:".
  [[nodiscard]] static Address FromSocket(const SocketAddress& socket_address);

  [[nodiscard]] bool is_unix() const { return is_unix_; }
  // The path of a Unix socket, or the host without brackets.
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] std::string ToString() const;

  // The kernel's form, without asking anybody: NOT_FOUND for a name that has to be
  // looked up, INVALID_ARGUMENT for a path longer than a Unix socket's may be.
  [[nodiscard]] absl::StatusOr<SocketAddress> ToSocketLiteral() const;
  // The same, with names looked up; may block for seconds, so not on a loop. Never
  // empty; to be tried in this order.
  [[nodiscard]] absl::StatusOr<std::vector<SocketAddress>> Resolve() const;

  friend bool operator==(const Address&, const Address&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Address& address) {
    return out << address.ToString();
  }

 private:
  bool is_unix_ = false;
  std::string host_;
  uint16_t port_ = 0;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_ADDRESS_H_
