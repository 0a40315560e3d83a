// A port on 127.0.0.1 that stays free for one program. A socket that is bound and does
// not listen keeps it from everybody who asks for any free port, outgoing connections
// included, while a server that sets SO_REUSEADDR can listen there, and again after it
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

  // "127.0.0.1:40123"
  [[nodiscard]] std::string address() const;

 private:
  ReservedPort(int fd, int port) : fd_(fd), port_(port) {}
  int fd_;
  int port_;
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_RESERVED_PORT_H_
