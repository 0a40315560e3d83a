// Reserves a port on 127.0.0.1 for one program. A socket that is bound and does not
// listen keeps the system from choosing the port for another program or an outgoing
// connection. A server that sets SO_REUSEADDR can still listen there, and again after it
// was killed.
#ifndef EXAMPLES_PROCESSES_RESERVED_PORT_H_
#define EXAMPLES_PROCESSES_RESERVED_PORT_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace concordat::example {

class ReservedPort {
 public:
  [[nodiscard]] static absl::StatusOr<ReservedPort> Take();
  ReservedPort(ReservedPort&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), port_(other.port_) {}
  ReservedPort& operator=(ReservedPort&&) = delete;
  ~ReservedPort();

  [[nodiscard]] int port() const { return port_; }
  // For example "127.0.0.1:40123".
  [[nodiscard]] std::string address() const;

 private:
  ReservedPort(int fd, int port) : fd_(fd), port_(port) {}
  int fd_;
  int port_;
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_RESERVED_PORT_H_
