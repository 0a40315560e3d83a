#include "thrift/rpc/foreign.h"

#include <cstring>

namespace concordat::rpc::internal {

namespace {

bool StartsWith(const uint8_t* data, size_t size, std::string_view bytes) {
  return size >= bytes.size() && std::memcmp(data, bytes.data(), bytes.size()) == 0;
}

bool IsHttp(const uint8_t* data, size_t size) {
  for (const std::string_view start :
       {"GET ", "POST", "HEAD", "PUT ", "DELE", "OPTI", "CONN", "PATC", "PRI ", "HTTP"}) {
    if (StartsWith(data, size, start)) return true;
  }
  return false;
}

constexpr uint8_t kTlsAlert = 0x15;
constexpr uint8_t kTlsHandshake = 0x16;

}  // namespace

std::string_view StreamLooksLike(const uint8_t* data, size_t size) {
  if (size < 4) return {};
  if (IsHttp(data, size)) return "HTTP";
  if (data[0] == kTlsHandshake && data[1] == 3) return "a TLS handshake";
  if (data[0] == kTlsAlert && data[1] == 3) return "a TLS server";
  if (StartsWith(data, size, "SSH-")) return "SSH";
  // A framed message begins with the upper bytes of its length, which are small.
  if (data[0] == 0x80 && data[1] == 0x01)
    return "Thrift's binary protocol, without frames";
  if (data[0] == 0x82 && (data[1] & 0x1FU) == 1) {
    return "Thrift's compact protocol, without frames";
  }
  if (StartsWith(data, size, "-ERR")) return "Redis";
  // An error or a request for authentication, followed by its length.
  if ((data[0] == 'E' || data[0] == 'R') && data[1] == 0 && data[2] == 0) {
    return "PostgreSQL";
  }
  // MariaDB's greeting: three bytes of length, the lowest first, and number 0.
  if (data[0] != 0 && data[1] == 0 && data[2] == 0 && data[3] == 0) {
    return "MariaDB or MySQL";
  }
  return {};
}

std::string_view FrameLooksLike(const uint8_t* data, size_t size) {
  if (size >= 2 && data[0] == 0x80 && data[1] == 0x01) return "Thrift's binary protocol";
  if (size >= 2 && data[0] == 0x0F && data[1] == 0xFF) return "Thrift's header protocol";
  // Without a version, the name's length comes first.
  if (size >= 4 && data[0] == 0 && data[1] == 0 && data[2] == 0 && data[3] != 0) {
    return "Thrift's binary protocol";
  }
  if (size >= 1 && (data[0] == '[' || data[0] == '{')) return "Thrift's JSON protocol";
  return {};
}

}  // namespace concordat::rpc::internal
