#include "thrift/rpc/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/text.h"

namespace concordat::rpc {

namespace {

absl::Status BadAddress(std::string_view text, std::string_view problem) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", ToAbsl(text), "\" is not an address: ", ToAbsl(problem)));
}

constexpr std::string_view kUnixPrefix = "unix:";

}  // namespace

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  if (text.substr(0, kUnixPrefix.size()) == kUnixPrefix) {
    Address address = Unix(std::string(text.substr(kUnixPrefix.size())));
    if (address.host_.empty()) return BadAddress(text, "no path after unix:");
    absl::StatusOr<SocketAddress> literal = address.ToSocketLiteral();
    if (!literal.ok()) return literal.status();
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadAddress(text, "no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      port > 65535) {
    return BadAddress(text, "the port is not a number from 0 to 65535");
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    in6_addr ignored{};
    if (inet_pton(AF_INET6, std::string(host).c_str(), &ignored) != 1) {
      return BadAddress(text, "no IPv6 address in the brackets");
    }
  } else if (host.find_first_of(":[] ") != std::string_view::npos) {
    return BadAddress(text, "an IPv6 address must be in brackets");
  }
  if (host.empty()) return BadAddress(text, "no host");
  return Tcp(std::string(host), static_cast<uint16_t>(port));
}

Address Address::Unix(std::string path) {
  Address address;
  address.is_unix_ = true;
  address.host_ = std::move(path);
  return address;
}

Address Address::Tcp(std::string host, uint16_t port) {
  Address address;
  address.host_ = std::move(host);
  address.port_ = port;
  return address;
}

Address Address::FromSocket(const SocketAddress& from) {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &from.storage, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return Tcp(text, ntohs(in.sin_port));
  }
  if (from.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &from.storage, sizeof in6);
    inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    return Tcp(text, ntohs(in6.sin6_port));
  }
  sockaddr_un un{};
  std::memcpy(&un, &from.storage, sizeof un);
  const size_t header = offsetof(sockaddr_un, sun_path);
  if (from.length <= header) return Unix("");
  return Unix(std::string(un.sun_path, strnlen(un.sun_path, from.length - header)));
}

std::string Address::ToString() const {
  if (is_unix_) return absl::StrCat("unix:", host_);
  if (host_.empty()) return "";
  if (host_.find(':') != std::string::npos) return absl::StrCat("[", host_, "]:", port_);
  return absl::StrCat(host_, ":", port_);
}

absl::StatusOr<SocketAddress> Address::ToSocketLiteral() const {
  SocketAddress result;
  if (is_unix_) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (host_.size() >= sizeof un.sun_path) {
      return BadAddress(ToString(), absl::StrCat("the path has ", host_.size(),
                                                 " bytes, and a Unix socket's at most ",
                                                 sizeof un.sun_path - 1));
    }
    std::memcpy(un.sun_path, host_.data(), host_.size());
    std::memcpy(&result.storage, &un, sizeof un);
    result.length = sizeof un;
    return result;
  }
  sockaddr_in in{};
  if (inet_pton(AF_INET, host_.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    std::memcpy(&result.storage, &in, sizeof in);
    result.length = sizeof in;
    return result;
  }
  sockaddr_in6 in6{};
  if (inet_pton(AF_INET6, host_.c_str(), &in6.sin6_addr) == 1) {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port_);
    std::memcpy(&result.storage, &in6, sizeof in6);
    result.length = sizeof in6;
    return result;
  }
  return absl::NotFoundError(absl::StrCat(host_, " must be looked up"));
}

absl::StatusOr<std::vector<SocketAddress>> Address::Resolve() const {
  absl::StatusOr<SocketAddress> literal = ToSocketLiteral();
  if (literal.ok()) return std::vector<SocketAddress>{*literal};
  if (is_unix_) return literal.status();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host_.c_str(), absl::StrCat(port_).c_str(), &hints, &found);
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot look up ", host_, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  std::vector<SocketAddress> results;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    SocketAddress& result = results.emplace_back();
    std::memcpy(&result.storage, at->ai_addr, at->ai_addrlen);
    result.length = at->ai_addrlen;
  }
  return results;
}

}  // namespace concordat::rpc
