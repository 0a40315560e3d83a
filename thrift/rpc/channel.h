// Calls a server: one connection, many calls in flight, answers in any order.
//
//   Channel channel(loop, address, limits, {.seed = rng.Next()});
//   channel.Call<EchoService_echo_pargs, EchoService_echo_presult, EchoReply>(
//       "echo", request, Duration::Millis(500), [](CallResult<EchoReply> result) {
//         switch (result.outcome) { ... }
//       });
//
// The callback runs exactly once, on the loop's thread, never inside Call, Close or
// the destructor (they post it; it is dropped only if the loop itself ends first).
//
// The state of a channel:
//
//   idle --Call--> connecting --> up --(lost, or idle for long)--> idle
//                      |                                            ^
//                      +--(refused, timed out)--> back-off --(delay)-+
//
// While it is connecting calls are queued. During back-off they fail at once
// (kNotSent), and the first one after the delay connects again. The delay doubles
// from reconnect_min to reconnect_max, is drawn from [delay/2, delay] with the seed
// handed in, and starts anew when the server has answered something. A connection
// that is lost before it answered anything counts as refused.
//
// Everything here is for the loop's thread, or before the loop runs. The loop must
// outlive the channel.
#ifndef THRIFT_RPC_CHANNEL_H_
#define THRIFT_RPC_CHANNEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/channel_core.h"
#include "thrift/rpc/codec.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/limits.h"

namespace concordat::rpc {

// The Reply of a method that returns void.
using Void = std::monostate;

template <class Reply>
struct CallResult {
  CallOutcome outcome = CallOutcome::kUnknown;
  Reply reply{};        // of kReply
  std::string error;    // for people; empty with kReply
  int remote_type = 0;  // TApplicationExceptionType, of kRemoteError
  CallFault fault = CallFault::kNone;

  [[nodiscard]] bool ok() const { return outcome == CallOutcome::kReply; }
  // The handler at the server was surely never called.
  [[nodiscard]] bool not_executed() const {
    return outcome == CallOutcome::kNotSent ||
           (outcome == CallOutcome::kRemoteError && RemoteRefusedUnread(remote_type));
  }
  // Whoever is at the address is no server of this service.
  [[nodiscard]] bool is_other_server() const {
    return fault == CallFault::kForeignPeer ||
           (outcome == CallOutcome::kRemoteError && RemoteHasNoSuchMethod(remote_type));
  }
};

template <class Reply>
using CallCallback = absl::AnyInvocable<void(CallResult<Reply>)>;

namespace internal {

// Reads the reply of one call with the generated presult type.
template <class Presult, class Reply>
class TypedCall final : public PendingCall {
 public:
  explicit TypedCall(CallCallback<Reply> callback) : callback_(std::move(callback)) {}

  bool ReadResult(Codec* codec) override {
    Presult presult;
    if constexpr (std::is_same_v<Reply, Void>) {
      presult.read(codec);
      return true;
    } else {
      presult.success = &result_.reply;
      presult.read(codec);
      return presult.__isset.success;
    }
  }

  void Finish(CallOutcome outcome, std::string error, int remote_type) override {
    result_.outcome = outcome;
    result_.error = std::move(error);
    result_.remote_type = remote_type;
    result_.fault = fault;
    callback_(std::move(result_));
  }

 private:
  CallResult<Reply> result_;
  CallCallback<Reply> callback_;
};

// Points the only member of a generated pargs at the argument, whatever its name.
template <class Pargs, class Request>
void SetOnlyArgument(Pargs* pargs, const Request& request) {
  auto& [argument] = *pargs;
  argument = &request;
}

}  // namespace internal

class Channel {
 public:
  Channel(EventLoop* loop, Address address, Limits limits = {},
          ChannelOptions options = {});
  // Closes.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Calls a method with one argument. `deadline` is from now; its granularity is
  // kDeadlineGranularity. After it the outcome is kUnknown if the request may have
  // left, or may still leave, this process; an answer that comes later is ignored.
  template <class Pargs, class Presult, class Reply, class Request>
  void Call(std::string_view method, const Request& request, Duration deadline,
            CallCallback<Reply> callback) {
    Pargs pargs;
    internal::SetOnlyArgument(&pargs, request);
    CallWith<Pargs, Presult, Reply>(method, pargs, deadline, std::move(callback));
  }

  // The same with a pargs filled in by the caller: none or several arguments.
  template <class Pargs, class Presult, class Reply>
  void CallWith(std::string_view method, const Pargs& pargs, Duration deadline,
                CallCallback<Reply> callback) {
    const int32_t sequence = core_->BeginMessage(method, internal::MessageKind::kCall);
    pargs.write(core_->out_codec());
    core_->EndCall(
        method, sequence, deadline,
        std::make_unique<internal::TypedCall<Presult, Reply>>(std::move(callback)));
  }

  // Sends and forgets. False: surely not sent. True: perhaps.
  template <class Pargs, class Request>
  bool Oneway(std::string_view method, const Request& request) {
    Pargs pargs;
    internal::SetOnlyArgument(&pargs, request);
    core_->BeginMessage(method, internal::MessageKind::kOneway);
    pargs.write(core_->out_codec());
    return core_->EndOneway();
  }

  // Told whenever the connection comes up (true, OK) or goes down, or could not be
  // made (false, why). Runs on the loop's thread, before the callbacks of the calls
  // that failed with it. May not destroy the channel.
  void SetStateHook(absl::AnyInvocable<void(bool up, const absl::Status& why)> hook) {
    core_->SetStateHook(std::move(hook));
  }

  // Fails all calls; later ones fail at once. Idempotent.
  void Close() { core_->Shutdown(); }

  [[nodiscard]] bool is_up() const { return core_->is_up(); }
  // Calls without an answer, those whose deadline has passed included.
  [[nodiscard]] size_t calls_in_flight() const { return core_->calls_in_flight(); }
  [[nodiscard]] const Address& address() const { return core_->address(); }

 private:
  std::shared_ptr<internal::ChannelCore> core_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_CHANNEL_H_
