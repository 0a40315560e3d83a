// Calls a server over one connection, with many calls in flight and answers in any order.
//
//   Channel channel(loop, address, limits, {.seed = rng.Next()});
//   channel.Call<EchoService_echo_pargs, EchoService_echo_presult, EchoReply>(
//       "echo", request, Duration::Millis(500), [](CallResult<EchoReply> result) {
//         switch (result.outcome) { … }
//       });
//
// The callback runs exactly once, on the loop's thread, and never inside Call, Close or
// the destructor: they post it. It does not run if the loop ends first.
//
// The state of a channel:
//
//   idle --Call--> connecting --> up --(lost, or idle for long)--> idle
//                      |                                            ^
//                      +--(refused, timed out)--> back-off --(delay)-+
//
// While the channel is connecting, calls are queued. During back-off they fail at once
// (kNotSent), and the first call after the delay connects again. The delay doubles from
// reconnect_min to reconnect_max, is drawn from [delay/2, delay] with the seed in the
// options, and begins at reconnect_min again when the server has answered a call. A
// connection that is lost before any answer counts as refused.
//
// All functions are called on the loop's thread, or before the loop runs. The loop must
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

// The Reply type of a method that returns void.
using Void = std::monostate;

template <class Reply>
struct CallResult {
  CallOutcome outcome = CallOutcome::kUnknown;
  Reply reply{};        // valid when outcome is kReply
  std::string error;    // for operators; empty when outcome is kReply
  int remote_type = 0;  // TApplicationExceptionType; valid when outcome is kRemoteError
  CallFault fault = CallFault::kNone;  // the cause of a failure; kNone: another one

  [[nodiscard]] bool ok() const { return outcome == CallOutcome::kReply; }
  // True: the handler at the server was certainly never called.
  [[nodiscard]] bool not_executed() const {
    return outcome == CallOutcome::kNotSent ||
           (outcome == CallOutcome::kRemoteError && RemoteRefusedUnread(remote_type));
  }
  // True: another service, or no Thrift server at all, is at the address.
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

// Points the only member of a generated pargs at the argument, whatever its name is.
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
  // Closes the channel.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Calls a method with one argument. `deadline` is measured from now, with a granularity
  // of kDeadlineGranularity. When it passes, the outcome is kUnknown if the request may
  // have left this process or may still leave it. A later answer is ignored.
  template <class Pargs, class Presult, class Reply, class Request>
  void Call(std::string_view method, const Request& request, Duration deadline,
            CallCallback<Reply> callback) {
    Pargs pargs;
    internal::SetOnlyArgument(&pargs, request);
    CallWith<Pargs, Presult, Reply>(method, pargs, deadline, std::move(callback));
  }

  // The same for a method with no argument or several: the caller fills in the pargs.
  template <class Pargs, class Presult, class Reply>
  void CallWith(std::string_view method, const Pargs& pargs, Duration deadline,
                CallCallback<Reply> callback) {
    const int32_t sequence = core_->BeginMessage(method, internal::MessageKind::kCall);
    pargs.write(core_->out_codec());
    core_->EndCall(
        method, sequence, deadline,
        std::make_unique<internal::TypedCall<Presult, Reply>>(std::move(callback)));
  }

  // Sends a request that has no answer. False: certainly not sent. True: it may have
  // been sent.
  template <class Pargs, class Request>
  bool Oneway(std::string_view method, const Request& request) {
    Pargs pargs;
    internal::SetOnlyArgument(&pargs, request);
    core_->BeginMessage(method, internal::MessageKind::kOneway);
    pargs.write(core_->out_codec());
    return core_->EndOneway();
  }

  // The hook runs whenever the connection is made (true, OK), is lost, or cannot be
  // made (false, the reason). It runs on the loop's thread, before the callbacks of the
  // calls that failed with the connection. It must not destroy the channel.
  void SetStateHook(absl::AnyInvocable<void(bool up, const absl::Status& why)> hook) {
    core_->SetStateHook(std::move(hook));
  }

  // Fails all calls now and every later call at once. May be called more than once.
  void Close() { core_->Shutdown(); }

  [[nodiscard]] bool is_up() const { return core_->is_up(); }
  // Number of calls without an answer, including those whose deadline has passed.
  [[nodiscard]] size_t calls_in_flight() const { return core_->calls_in_flight(); }
  [[nodiscard]] const Address& address() const { return core_->address(); }

 private:
  std::shared_ptr<internal::ChannelCore> core_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_CHANNEL_H_
