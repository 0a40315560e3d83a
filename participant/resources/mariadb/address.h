// Where a MariaDB server is, and how to get in.
#ifndef PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_
#define PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace concordat::participant::mariadb {

struct Address {
  std::string host;
  uint16_t port = 3306;
  std::string socket;  // a Unix socket; then there is no host
  std::string user;
  std::string password;
  std::string database;
  bool tls = false;  // encrypted, or refused
  bool tls_verify = true;
  std::string tls_ca, tls_cert, tls_key;
};

// The URL as MakeMariadb takes it. INVALID_ARGUMENT, saying what
// is wrong.
[[nodiscard]] absl::StatusOr<Address> ParseAddress(const std::string& url);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_ADDRESS_H_
