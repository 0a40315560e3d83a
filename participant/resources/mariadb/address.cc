#include "participant/resources/mariadb/address.h"

#include <fstream>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace concordat::participant::mariadb {

namespace {

constexpr char kForm[] =
    "mysql://user@host:port/database, or mysql://user@/database?socket=/path";

absl::Status Bad(std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the database's URL: ", std::string(why), "; it looks like ", kForm));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "%2F" is "/" (RFC 3986, 2.1).
std::string Decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out.push_back(
          static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

absl::Status TakeParameter(const std::string& name, const std::string& value,
                           Address* address) {
  if (name == "socket") {
    address->socket = value;
  } else if (name == "password_file") {
    std::ifstream file(value);
    if (!std::getline(file, address->password)) {
      return Bad(absl::StrCat("the password file ", value, " cannot be read"));
    }
  } else if (name == "tls_ca") {
    address->tls_ca = value;
  } else if (name == "tls_cert") {
    address->tls_cert = value;
  } else if (name == "tls_key") {
    address->tls_key = value;
  } else if (name == "tls" && (value == "verify" || value == "no-verify")) {
    address->tls_verify = value == "verify";
  } else {
    return Bad(absl::StrCat("\"", name, "=", value,
                            "\" is not known; there are socket, password_file, "
                            "tls=verify, tls=no-verify, tls_ca, tls_cert and tls_key"));
  }
  address->tls = address->tls || absl::StartsWith(name, "tls");
  return absl::OkStatus();
}

absl::Status TakeHost(std::string host, Address* address) {
  const size_t at = host.rfind('@');
  if (at != host.npos) {
    const std::vector<std::string> who =
        absl::StrSplit(host.substr(0, at), absl::MaxSplits(':', 1));
    address->user = Decoded(who[0]);
    if (who.size() > 1) address->password = Decoded(who[1]);
    host = host.substr(at + 1);
  }
  const size_t bracket = host.rfind(']');  // of an IPv6 address
  const size_t colon = host.rfind(':');
  if (colon != host.npos && (bracket == host.npos || colon > bracket)) {
    int port = 0;
    if (!absl::SimpleAtoi(host.substr(colon + 1), &port) || port < 1 || port > 65535) {
      return Bad("the port is not a number");
    }
    address->port = static_cast<uint16_t>(port);
    host = host.substr(0, colon);
  }
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  address->host = Decoded(host);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Address> ParseAddress(const std::string& url) {
  Address address;
  const size_t scheme = url.find("://");
  const std::string name = url.substr(0, scheme);
  if (scheme == url.npos || (name != "mysql" && name != "mariadb")) {
    return Bad("it does not begin with mysql://");
  }
  const std::vector<std::string> halves =
      absl::StrSplit(url.substr(scheme + 3), absl::MaxSplits('?', 1));
  const size_t slash = halves[0].find('/');
  if (slash == halves[0].npos || slash + 1 == halves[0].size()) {
    return Bad("it names no database");
  }
  address.database = Decoded(halves[0].substr(slash + 1));
  if (absl::Status s = TakeHost(halves[0].substr(0, slash), &address); !s.ok()) return s;
  if (halves.size() > 1) {
    for (const std::string& part :
         std::vector<std::string>(absl::StrSplit(halves[1], '&', absl::SkipEmpty()))) {
      const std::vector<std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
      const absl::Status taken =
          TakeParameter(pair[0], pair.size() > 1 ? Decoded(pair[1]) : "", &address);
      if (!taken.ok()) return taken;
    }
  }
  if (address.host.empty() == address.socket.empty()) {
    return Bad("it names either a host or a socket");
  }
  return address;
}

}  // namespace concordat::participant::mariadb
