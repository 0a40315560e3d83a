#include "thrift/rpc/message_limiter.h"

#include <utility>

namespace concordat::rpc::internal {

std::optional<uint64_t> MessageLimiter::Admit(const std::string& kind, Timestamp now) {
  const auto [found, is_new] = kinds_.try_emplace(kind, Kind{now});
  Kind& state = found->second;
  if (!is_new && now - state.window_begin >= kWindow) {
    state.window_begin = now;
    state.written = 0;
  }
  if (state.written >= kMost) {
    ++state.left_out;
    return std::nullopt;
  }
  ++state.written;
  return std::exchange(state.left_out, 0);
}

}  // namespace concordat::rpc::internal
