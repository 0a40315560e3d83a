// Recognizes the protocol of a peer that does not speak framed, compact Thrift.
#ifndef THRIFT_RPC_FOREIGN_H_
#define THRIFT_RPC_FOREIGN_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace concordat::rpc::internal {

// Judges by the first bytes of a stream, at least four: "HTTP", "a TLS handshake", …
// Empty when the bytes are like no known protocol.
[[nodiscard]] std::string_view StreamLooksLike(const uint8_t* data, size_t size);
// Judges by the first bytes of a frame's payload: "Thrift's binary protocol", … Empty
// as above.
[[nodiscard]] std::string_view FrameLooksLike(const uint8_t* data, size_t size);

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_FOREIGN_H_
