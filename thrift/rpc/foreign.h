// What somebody speaks who does not speak framed, compact Thrift.
#ifndef THRIFT_RPC_FOREIGN_H_
#define THRIFT_RPC_FOREIGN_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace concordat::rpc::internal {

// By the first bytes of a stream, at least four: "HTTP", "a TLS handshake", … Empty
// when they look like nothing that is known.
[[nodiscard]] std::string_view StreamLooksLike(const uint8_t* data, size_t size);
// By the first bytes of a frame's payload: "Thrift's binary protocol", … Empty as above.
[[nodiscard]] std::string_view FrameLooksLike(const uint8_t* data, size_t size);

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_FOREIGN_H_
