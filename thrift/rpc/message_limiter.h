// Limits how many log messages of one kind are written. A peer that sends garbage must
// not be able to fill the log.
#ifndef THRIFT_RPC_MESSAGE_LIMITER_H_
#define THRIFT_RPC_MESSAGE_LIMITER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "coordinator/base/clock.h"

namespace concordat::rpc::internal {

// Not thread-safe.
class MessageLimiter {
 public:
  // At most kMost messages of one kind are written in kWindow.
  static constexpr uint64_t kMost = 5;
  static constexpr Duration kWindow = Duration::Seconds(10);

  // nullopt: the message must not be written. Otherwise the number of messages of this
  // kind that were left out since the last written one.
  [[nodiscard]] std::optional<uint64_t> Admit(const std::string& kind, Timestamp now);

 private:
  struct Kind {
    Timestamp window_begin;  // when the first message of the window was written
    uint64_t written = 0;    // in the window
    uint64_t left_out = 0;   // since the last one that was written
  };
  std::map<std::string, Kind> kinds_;
};

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_MESSAGE_LIMITER_H_
