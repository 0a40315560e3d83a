// Where a server listens: "host:port", "[::1]:port" or "unix:/path".
//
//   auto address = Address::Parse("127.0.0.1:7070");
//   address->ToString();    // returns the same text
//
// Port 0 is only for listening: the system chooses a port, and Server::Listen returns it.
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
  socklen_t length = 0;  // how many bytes of `storage` are used
  [[nodiscard]] int family() const { return storage.ss_family; }
};

class Address {
 public:
  // The default Address is no address; its ToString() returns "".
  Address() = default;

  // INVALID_ARGUMENT contains the text and what is wrong with it. Host names are not
  // looked up here.
  [[nodiscard]] static absl::StatusOr<Address> Parse(std::string_view text);
  [[nodiscard]] static Address Unix(std::string path);
  [[nodiscard]] static Address Tcp(std::string host, uint16_t port);
  // Converts what accept, getsockname and getpeername return. A peer on a Unix socket
  // has no path: its text is "unix:".
  [[nodiscard]] static Address FromSocket(const SocketAddress& socket_address);

  [[nodiscard]] bool is_unix() const { return is_unix_; }
  // The path of a Unix socket, or the host without brackets.
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] std::string ToString() const;

  // Returns the kernel's form without a look-up. NOT_FOUND: the host is a name that has
  // to be looked up. INVALID_ARGUMENT: the path is too long for a Unix socket.
  [[nodiscard]] absl::StatusOr<SocketAddress> ToSocketLiteral() const;
  // The same with names looked up. This may block for seconds, so it must not run on a
  // loop. The result is never empty; the addresses are to be tried in this order.
  [[nodiscard]] absl::StatusOr<std::vector<SocketAddress>> Resolve() const;

  friend bool operator==(const Address&, const Address&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Address& address) {
    return out << address.ToString();
  }

 private:
  bool is_unix_ = false;
  std::string host_;   // the path when is_unix_
  uint16_t port_ = 0;  // 0 when is_unix_
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_ADDRESS_H_
