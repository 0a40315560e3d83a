// The address of a MariaDB server, and what is needed to log in there.
#ifndef PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_
#define PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace concordat::participant::mariadb {

struct Address {
  std::string host;  // empty with a Unix socket
  uint16_t port = 3306;
  std::string socket;  // the path of a Unix socket; empty: host and port are used
  std::string user;
  std::string password;
  std::string database;
  bool tls = false;        // the connection is refused if it cannot be encrypted
  bool tls_verify = true;  // the server's certificate is checked
  // Paths of the files with the authorities, our certificate and its key. Empty: none.
  std::string tls_ca, tls_cert, tls_key;
};

// Parses a URL of the form that MakeMariadb takes. INVALID_ARGUMENT: it is wrong; the
// text says how.
[[nodiscard]] absl::StatusOr<Address> ParseAddress(const std::string& url);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_
