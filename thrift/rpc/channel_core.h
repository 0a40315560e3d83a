// The parts of a Channel that do not depend on the types of its calls. Include channel.h.
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
  // The server certainly never saw the call: no connection, back-off, a full queue, a
  // request over a limit, or a channel that was closed before the request had left.
  kNotSent,
  // The request left or may have left, and no answer came: the connection was lost, the
  // deadline passed, or the answer could not be read. The server may have executed the
  // call, may be executing it, and may execute it later.
  kUnknown,
  // The server answered with a TApplicationException. If CallResult::not_executed(),
  // the call was not executed; otherwise this is unknown.
  kRemoteError,
};
[[nodiscard]] std::string_view ToString(CallOutcome outcome);
std::ostream& operator<<(std::ostream& out, CallOutcome outcome);

// More about a failed call than its outcome.
enum class CallFault : uint8_t {
  kNone,
  // kNotSent: the request is over one of the server's limits, which the error names. It
  // was refused before it was sent, and would be refused again.
  kTooLarge,
  // The peer sent bytes that are not framed, compact Thrift: it is another kind of
  // server.
  kForeignPeer,
};

// True for the TApplicationExceptionTypes with which a server refuses a request before
// any handler has seen it.
[[nodiscard]] bool RemoteRefusedUnread(int application_exception_type);
// True for the TApplicationExceptionType with which a server of another service answers.
[[nodiscard]] bool RemoteHasNoSuchMethod(int application_exception_type);

struct ChannelOptions {
  // How long one attempt to connect may take, including the look-up of the address's
  // name. It is short because TCP itself repeats a lost first packet only after 1, 2, 4
  // s.
  Duration connect_timeout = Duration::Seconds(1);
  Duration reconnect_min = Duration::Millis(20);  // the first delay of back-off
  Duration reconnect_max = Duration::Seconds(2);  // the longest delay of back-off
  // Seed of the jitter of back-off. It should be different for each channel.
  uint64_t seed = 1;
  // True: the channel connects at once, and again after back-off, without waiting for a
  // call.
  bool keep_connected = false;
  // The connection is closed when the deadline of a call on it has passed and nothing
  // at all has come from the peer for this long.
  Duration dead_peer_timeout = Duration::Seconds(10);
  // The connection is closed when bytes are on their way and the peer's machine has
  // acknowledged nothing for this long. When the network works again, a new connection
  // can be made at once, while the old one would wait for TCP's next retransmission,
  // possibly for as long as the interruption was. A peer that only does not read does
  // acknowledge.
  Duration unacknowledged_timeout = Duration::Seconds(5);
  // The look-up of host names. Null: NameLookup::Shared().
  NameLookup* lookup = nullptr;
};

// How often deadlines are checked.
inline constexpr Duration kDeadlineGranularity = Duration::Millis(5);

namespace internal {

enum class MessageKind : uint8_t { kCall, kOneway };

// A call that waits for its answer.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  // Reads the result struct. False: it holds no result but an exception declared in the
  // IDL. Throws what the codec throws.
  virtual bool ReadResult(Codec* codec) = 0;
  // Runs the callback.
  virtual void Finish(CallOutcome outcome, std::string error, int remote_type) = 0;

  std::string method;                  // the name of the IDL's method
  CallFault fault = CallFault::kNone;  // for CallResult
  Timestamp deadline;                  // after it the call fails
  // Where its frame ends in the connection's output; 0: not on a connection yet.
  uint64_t end_offset = 0;
};

class ChannelConnection;

class ChannelCore : public std::enable_shared_from_this<ChannelCore> {
 public:
  ChannelCore(EventLoop* loop, Address address, Limits limits, ChannelOptions options);
  ~ChannelCore();

  // To send a message: call BeginMessage, write the arguments into out_codec(), and
  // call EndCall or EndOneway.
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

  // Called by the connection.
  void OnReply(const uint8_t* data, size_t size);
  void OnConnectionClosed(const absl::Status& why);

 private:
  enum class State : uint8_t { kIdle, kConnecting, kUp, kBackoff, kClosed };
  struct Queued {
    int32_t sequence;   // 0: oneway
    std::string frame;  // the message, without its length
  };

  // Sends the frame in out_codec_, or returns why it cannot be sent.
  [[nodiscard]] absl::Status SendFrame(int32_t sequence, PendingCall* call);
  [[nodiscard]] absl::Status Admit(size_t frame_bytes);
  void FailSoon(std::unique_ptr<PendingCall> call, CallOutcome outcome,
                std::string_view error);

  void Connect();
  // Connects to the next of targets_. When there is none, fails with `why`.
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

  EventLoop* const loop_;  // not owned; must outlive the channel
  const Address address_;
  const Limits limits_;
  const ChannelOptions options_;
  Random random_;                     // for the jitter of back-off
  std::shared_ptr<Codec> out_codec_;  // of all messages that are sent
  std::shared_ptr<Codec> in_codec_;   // of all messages that are received
  std::string method_;                // of the message that is being written

  State state_ = State::kIdle;                     // kIdle: connects at the next message
  std::shared_ptr<ChannelConnection> connection_;  // null unless state_ is kUp
  std::unique_ptr<Connector> connector_;           // null unless a connect is under way
  std::deque<SocketAddress> targets_;  // addresses not tried yet in this attempt
  // Number of this attempt; a task of an earlier one does nothing.
  uint64_t connect_attempt_ = 0;
  bool lookup_under_way_ = false;  // NameLookup will call OnNameFound
  TimerId connect_timer_;          // ends the attempt, or the back-off
  TimerId check_timer_;            // runs CheckConnection while the connection is up
  // Since when CheckConnection has seen bytes in flight.
  Timestamp in_flight_since_ = Timestamp::Infinite();
  absl::Status last_error_;  // why the last attempt or connection failed
  int failures_ = 0;         // consecutive failed attempts
  bool answered_ = false;    // the server has answered on this connection
  // See Channel::SetStateHook; may be empty.
  absl::AnyInvocable<void(bool, const absl::Status&)> hook_;

  int32_t last_sequence_ = 0;  // the sequence id of the newest call
  // Null: a call whose deadline has passed. Its id is not used again on this
  // connection, so that a late answer never reaches another call.
  absl::flat_hash_map<int32_t, std::unique_ptr<PendingCall>> calls_;
  size_t abandoned_ = 0;  // how many of calls_ are null
  // When the first call was abandoned, or an answer came since.
  Timestamp abandoned_since_;
  std::deque<Queued> queue_;  // while connecting
  size_t queued_bytes_ = 0;   // of all frames in queue_

  TimerId sweep_timer_;                         // runs SweepDeadlines
  Timestamp sweep_at_ = Timestamp::Infinite();  // when sweep_timer_ is due
};

}  // namespace internal
}  // namespace concordat::rpc

#endif  // THRIFT_RPC_CHANNEL_CORE_H_
