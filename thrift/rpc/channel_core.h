// What a Channel is made of, apart from the types of its calls. Include channel.h.
#ifndef THRIFT_RPC_CHANNEL_CORE_H_
#define THRIFT_RPC_CHANNEL_CORE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/random.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/codec.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/limits.h"
#include "thrift/rpc/name_lookup.h"

namespace concordat::rpc {

// What the caller knows after a call.
enum class CallOutcome : uint8_t {
  // The server answered.
  kReply,
  // The server surely never saw the call: no connection, back-off, queue full,
  // request over a limit, channel closed before the request had left.
  kNotSent,
  // The request left, or may have left, and no answer came: the connection was lost,
  // the deadline passed, or the answer could not be read. The server may have acted,
  // may be acting, and may act later.
  kUnknown,
  // The server answered with a TApplicationException. Whether it acted: not when
  // CallResult::not_executed(), otherwise unknown.
  kRemoteError,
};
[[nodiscard]] std::string_view ToString(CallOutcome outcome);
std::ostream& operator<<(std::ostream& out, CallOutcome outcome);

// What is wrong with a call, beyond its outcome.
enum class CallFault : uint8_t {
  kNone,
  // kNotSent: the request is over a limit of the server, which the error names. It is
  // refused before it is sent; sent again it would be refused again.
  kTooLarge,
  // What is at the address has sent what is not framed, compact Thrift: another server.
  kForeignPeer,
};

// The TApplicationExceptionTypes with which a server refuses a request before any
// handler has seen it.
[[nodiscard]] bool RemoteRefusedUnread(int application_exception_type);
// The one with which a server of another service answers.
[[nodiscard]] bool RemoteHasNoSuchMethod(int application_exception_type);

struct ChannelOptions {
  // Also ends the wait for a look-up of the address's name. One second at most between
  // attempts: a connection that is asked for again by TCP itself waits 1, 2, 4 s.
  Duration connect_timeout = Duration::Seconds(1);
  Duration reconnect_min = Duration::Millis(20);
  Duration reconnect_max = Duration::Seconds(2);
  // For the jitter of the back-off; different for each channel.
  uint64_t seed = 1;
  // Connects at once, and again after back-off, without waiting for a call.
  bool keep_connected = false;
  // The connection is given up when a deadline has passed on it and for so long
  // nothing at all has come from the peer.
  Duration dead_peer_timeout = Duration::Seconds(10);
  // The connection is given up when bytes are on their way and the peer's machine has
  // acknowledged nothing for so long: a new one can be there at once when the way is free
  // again, where the old one would wait for TCP's next try, as long as the cut was. Not
  // when the peer only does not read.
  Duration unacknowledged_timeout = Duration::Seconds(5);
  // Null: NameLookup::Shared().
  NameLookup* lookup = nullptr;
};

// Deadlines are looked at this often.
inline constexpr Duration kDeadlineGranularity = Duration::Millis(5);

namespace internal {

enum class MessageKind : uint8_t { kCall, kOneway };

// A call that waits for its answer.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  // Reads the result struct. False: it holds no result, but a declared exception.
  // Throws what the codec throws.
  virtual bool ReadResult(Codec* codec) = 0;
  // Runs the callback.
  virtual void Finish(CallOutcome outcome, std::string error, int remote_type) = 0;

  std::string method;
  CallFault fault = CallFault::kNone;
  Timestamp deadline;
  uint64_t end_offset = 0;  // of its frame in the connection's output
};

class ChannelConnection;

class ChannelCore : public std::enable_shared_from_this<ChannelCore> {
 public:
  ChannelCore(EventLoop* loop, Address address, Limits limits, ChannelOptions options);
  ~ChannelCore();

  // Begin, write the arguments into out_codec(), end.
  int32_t BeginMessage(std::string_view method, MessageKind kind);
  [[nodiscard]] Codec* out_codec() { return out_codec_.get(); }
  void EndCall(std::string_view method, int32_t sequence, Duration deadline,
               std::unique_ptr<PendingCall> call);
  bool EndOneway();

  void Start();
  void Shutdown();
  void SetStateHook(absl::AnyInvocable<void(bool, const absl::Status&)> hook) {
    hook_ = std::move(hook);
  }
  [[nodiscard]] bool is_up() const { return state_ == State::kUp; }
  [[nodiscard]] size_t calls_in_flight() const { return calls_.size(); }
  [[nodiscard]] const Address& address() const { return address_; }

  // From the connection.
  void OnReply(const uint8_t* data, size_t size);
  void OnConnectionClosed(const absl::Status& why);

 private:
  enum class State : uint8_t { kIdle, kConnecting, kUp, kBackoff, kClosed };
  struct Queued {
    int32_t sequence;  // 0: oneway
    std::string frame;
  };

  // Sends the frame in out_codec, or says why not.
  [[nodiscard]] absl::Status SendFrame(int32_t sequence, PendingCall* call);
  [[nodiscard]] absl::Status Admit(size_t frame_bytes);
  void FailSoon(std::unique_ptr<PendingCall> call, CallOutcome outcome,
                std::string_view error);

  void Connect();
  // Tries the next of targets_, or gives up with `why`.
  void ConnectToNext(const absl::Status& why);
  void OnConnected();
  void ConnectFailed(const absl::Status& why);
  void EnterBackoff(const absl::Status& why);
  void FlushQueue();
  void FailAll(const absl::Status& why, uint64_t written,
               CallFault fault = CallFault::kNone);
  void LookUpName();
  void OnNameFound(const NameLookup::Found& found);
  void AbandonConnect();

  void ArmSweep(Timestamp deadline);
  void SweepDeadlines();
  void CheckConnection();
  // How long bytes have been on their way without an acknowledgement.
  [[nodiscard]] Duration UnacknowledgedFor(Timestamp now);
  [[nodiscard]] CallOutcome ReadReply(PendingCall* call, const MessageHeader& header,
                                      const uint8_t* data, size_t size,
                                      std::string* error);
  void FinishReply(std::unique_ptr<PendingCall> call, const MessageHeader& header,
                   const uint8_t* data, size_t size);

  class Connector;

  EventLoop* const loop_;
  const Address address_;
  const Limits limits_;
  const ChannelOptions options_;
  Random random_;
  std::shared_ptr<Codec> out_codec_;
  std::shared_ptr<Codec> in_codec_;
  std::string method_;  // of the message being written

  State state_ = State::kIdle;
  std::shared_ptr<ChannelConnection> connection_;
  std::unique_ptr<Connector> connector_;
  std::deque<SocketAddress> targets_;  // not tried yet
  uint64_t connect_attempt_ = 0;       // tells late tasks from the current one
  bool lookup_under_way_ = false;
  TimerId connect_timer_;
  TimerId check_timer_;
  Timestamp in_flight_since_ = Timestamp::Infinite();  // as CheckConnection saw it
  absl::Status last_error_;
  int failures_ = 0;       // in a row
  bool answered_ = false;  // on this connection
  absl::AnyInvocable<void(bool, const absl::Status&)> hook_;

  int32_t last_sequence_ = 0;
  // A null call is one whose deadline has passed: its id is not used again on this
  // connection, so that a late answer never reaches another call.
  absl::flat_hash_map<int32_t, std::unique_ptr<PendingCall>> calls_;
  size_t abandoned_ = 0;
  Timestamp abandoned_since_;
  std::deque<Queued> queue_;  // while connecting
  size_t queued_bytes_ = 0;

  TimerId sweep_timer_;
  Timestamp sweep_at_ = Timestamp::Infinite();
};

}  // namespace internal
}  // namespace concordat::rpc

#endif  // THRIFT_RPC_CHANNEL_CORE_H_
