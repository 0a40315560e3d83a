#include "thrift/rpc/channel.h"

#include <thrift/TApplicationException.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "thrift/rpc/connection.h"
#include "thrift/rpc/process.h"

namespace concordat::rpc {

using apache::thrift::TApplicationException;

std::string_view ToString(CallOutcome outcome) {
  switch (outcome) {
    case CallOutcome::kReply:
      return "reply";
    case CallOutcome::kNotSent:
      return "not sent";
    case CallOutcome::kUnknown:
      return "unknown";
    case CallOutcome::kRemoteError:
      return "remote error";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, CallOutcome outcome) {
  return out << ToString(outcome);
}

bool RemoteRefusedUnread(int type) {
  return type == TApplicationException::UNKNOWN_METHOD ||
         type == TApplicationException::INVALID_MESSAGE_TYPE ||
         type == TApplicationException::PROTOCOL_ERROR;
}

bool RemoteHasNoSuchMethod(int type) {
  return type == TApplicationException::UNKNOWN_METHOD;
}

Channel::Channel(EventLoop* loop, Address address, Limits limits, ChannelOptions options)
    : core_(std::make_shared<internal::ChannelCore>(loop, std::move(address), limits,
                                                    options)) {
  core_->Start();
}

Channel::~Channel() { core_->Shutdown(); }

namespace internal {

class ChannelConnection final : public Connection {
 public:
  ChannelConnection(EventLoop* loop, std::unique_ptr<Stream> stream, const Limits& limits,
                    ChannelCore* core)
      : Connection(loop, std::move(stream), limits), core_(core) {}

 private:
  void OnFrame(const uint8_t* data, size_t size) override { core_->OnReply(data, size); }
  void OnClosed(const absl::Status& why) override { core_->OnConnectionClosed(why); }

  ChannelCore* const core_;  // closes this connection before it is destroyed itself
};

// A socket that is connecting.
class ChannelCore::Connector final : private FdWatch::Handler {
 public:
  Connector(ChannelCore* core, OwnedFd fd)
      : core_(core), fd_(std::move(fd)), watch_(core->loop_, fd_.get(), this) {
    watch_.WatchWrite(true);
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] OwnedFd TakeFd() {
    watch_.WatchWrite(false);
    return std::move(fd_);
  }

 private:
  void OnFdEvent(bool /*readable*/, bool /*writable*/) override { core_->OnConnected(); }

  ChannelCore* const core_;
  OwnedFd fd_;
  FdWatch watch_;
};

ChannelCore::ChannelCore(EventLoop* loop, Address address, Limits limits,
                         ChannelOptions options)
    : loop_(loop),
      address_(std::move(address)),
      limits_(limits),
      options_(options),
      random_(options.seed),
      out_codec_(MakeWriter(limits)),
      in_codec_(MakeReader(limits)) {}

ChannelCore::~ChannelCore() {
  CONCORDAT_CHECK(state_ == State::kClosed) << "a channel must be closed";
}

void ChannelCore::Start() {
  if (options_.keep_connected) Connect();
}

void ChannelCore::Shutdown() {
  if (state_ == State::kClosed) return;
  const std::shared_ptr<ChannelCore> self = shared_from_this();
  hook_ = nullptr;
  const uint64_t written = connection_ != nullptr ? connection_->written() : 0;
  state_ = State::kClosed;
  AbandonConnect();
  loop_->Cancel(std::exchange(sweep_timer_, TimerId()));
  const absl::Status why = absl::CancelledError("the channel was closed");
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->Close(why);
  FailAll(why, written);
}

// ---- calls ----

int32_t ChannelCore::BeginMessage(std::string_view method, MessageKind kind) {
  using apache::thrift::protocol::T_CALL;
  using apache::thrift::protocol::T_ONEWAY;
  // 0 stands for no id. The id of a call that still waits is skipped.
  do {
    last_sequence_ = last_sequence_ == INT32_MAX ? 1 : last_sequence_ + 1;
  } while (calls_.contains(last_sequence_));
  method_.assign(method);
  out_codec_->BeginWrite();
  out_codec_->writeMessageBegin(method_, kind == MessageKind::kCall ? T_CALL : T_ONEWAY,
                                last_sequence_);
  return last_sequence_;
}

absl::Status ChannelCore::Admit(size_t frame_bytes) {
  if (state_ == State::kClosed) return absl::CancelledError("the channel was closed");
  // This is checked first, since it does not depend on the connection.
  if (frame_bytes > limits_.max_frame_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request has ", frame_bytes, " bytes, and ",
                     limits_.max_frame_bytes, " are allowed"));
  }
  if (const std::string& excess = out_codec_->write_excess(); !excess.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the request has ", excess));
  }
  if (state_ == State::kBackoff) {
    return absl::UnavailableError(absl::StrCat("no connection to ", address_.ToString(),
                                               ": ", last_error_.message()));
  }
  if (calls_.size() >= limits_.max_calls_in_flight) {
    return absl::ResourceExhaustedError(
        absl::StrCat(calls_.size(), " calls to ", address_.ToString(), " in flight"));
  }
  const size_t waiting =
      connection_ != nullptr ? connection_->buffered_out() : queued_bytes_;
  if (waiting + frame_bytes > limits_.max_buffered_out_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(waiting, " bytes wait to be sent to ", address_.ToString()));
  }
  return absl::OkStatus();
}

absl::Status ChannelCore::SendFrame(int32_t sequence, PendingCall* call) {
  const uint8_t* const frame = out_codec_->buffer()->output();
  const size_t size = out_codec_->buffer()->output_size();
  absl::Status admitted = Admit(size);
  if (!admitted.ok()) return admitted;
  if (state_ == State::kUp) {
    connection_->AppendFrame(frame, size);
    if (call != nullptr) call->end_offset = connection_->appended();
    return absl::OkStatus();
  }
  queue_.push_back(
      Queued{sequence, std::string(reinterpret_cast<const char*>(frame), size)});
  queued_bytes_ += size;
  if (state_ == State::kIdle) Connect();
  return absl::OkStatus();
}

void ChannelCore::EndCall(std::string_view method, int32_t sequence, Duration deadline,
                          std::unique_ptr<PendingCall> call) {
  CONCORDAT_CHECK(loop_->InLoopThread()) << "called from another thread";
  call->method.assign(method);
  call->deadline = loop_->Now() + deadline;
  const absl::Status sent = SendFrame(sequence, call.get());
  if (!sent.ok()) {
    if (absl::IsInvalidArgument(sent)) call->fault = CallFault::kTooLarge;
    FailSoon(std::move(call), CallOutcome::kNotSent,
             std::string_view(sent.message().data(), sent.message().size()));
    return;
  }
  ArmSweep(call->deadline);
  calls_.emplace(sequence, std::move(call));
}

bool ChannelCore::EndOneway() {
  CONCORDAT_CHECK(loop_->InLoopThread()) << "called from another thread";
  const absl::Status sent = SendFrame(0, nullptr);
  if (absl::IsInvalidArgument(sent)) {
    // The caller gets no error, and the request would be refused again: so it is logged.
    const std::string text =
        absl::StrCat(address_.ToString(), ": ", method_, ": ", sent.message());
    Report({Level::kError, "message too large to be sent", "channel", text});
  }
  return sent.ok();
}

void ChannelCore::FailSoon(std::unique_ptr<PendingCall> call, CallOutcome outcome,
                           std::string_view error) {
  loop_->Post([call = std::move(call), outcome, text = std::string(error)]() mutable {
    call->Finish(outcome, std::move(text), 0);
  });
}

void ChannelCore::FailAll(const absl::Status& why, uint64_t written, CallFault fault) {
  auto calls = std::exchange(calls_, {});
  queue_.clear();
  queued_bytes_ = 0;
  abandoned_ = 0;
  const std::string_view text(why.message().data(), why.message().size());
  for (auto& [sequence, call] : calls) {
    if (call == nullptr) continue;
    call->fault = fault;
    // A request that has not left completely cannot have been executed.
    const bool left = call->end_offset != 0 && call->end_offset <= written;
    FailSoon(std::move(call), left ? CallOutcome::kUnknown : CallOutcome::kNotSent, text);
  }
}

// ---- connecting ----

void ChannelCore::Connect() {
  state_ = State::kConnecting;
  const uint64_t attempt = ++connect_attempt_;
  connect_timer_ = loop_->RunAfter(options_.connect_timeout, [this] {
    ConnectFailed(absl::DeadlineExceededError("the connection was not made in time"));
  });
  const auto target = address_.ToSocketLiteral();
  NameLookup::Found found = std::vector<SocketAddress>();
  if (target.ok()) {
    found->push_back(*target);
  } else if (absl::IsNotFound(target.status())) {
    NameLookup& lookup =
        options_.lookup != nullptr ? *options_.lookup : NameLookup::Shared();
    *found = lookup.Cached(address_);
    if (found->empty()) return LookUpName();
  } else {
    found = target.status();
  }
  // This is posted because it may run inside a Call, and an error would run the hook
  // there.
  loop_->Post([weak = weak_from_this(), attempt, found = std::move(found)] {
    const std::shared_ptr<ChannelCore> self = weak.lock();
    if (self == nullptr || self->state_ != State::kConnecting ||
        self->connect_attempt_ != attempt) {
      return;
    }
    if (found.ok()) self->targets_.assign(found->begin(), found->end());
    self->ConnectToNext(found.status());
  });
}

// Only one look-up runs at a time: later attempts wait for the same answer.
void ChannelCore::LookUpName() {
  if (std::exchange(lookup_under_way_, true)) return;
  NameLookup& lookup =
      options_.lookup != nullptr ? *options_.lookup : NameLookup::Shared();
  lookup.Find(address_, [weak = weak_from_this(),
                         posts = loop_->post_queue()](const NameLookup::Found& found) {
    posts->Post([weak, found] {
      const std::shared_ptr<ChannelCore> self = weak.lock();
      if (self != nullptr) self->OnNameFound(found);
    });
  });
}

void ChannelCore::OnNameFound(const NameLookup::Found& found) {
  lookup_under_way_ = false;
  // In back-off, or when a connect to the former addresses of the name is under way,
  // the answer is kept for the next attempt.
  if (state_ != State::kConnecting || connector_ != nullptr || !targets_.empty()) return;
  if (found.ok()) targets_.assign(found->begin(), found->end());
  ConnectToNext(found.status());
}

void ChannelCore::ConnectToNext(const absl::Status& why) {
  connector_.reset();
  absl::Status error = why;
  while (!targets_.empty()) {
    const SocketAddress target = targets_.front();
    targets_.pop_front();
    absl::StatusOr<OwnedFd> fd = StartConnect(target);
    if (fd.ok()) {
      connector_ = std::make_unique<Connector>(this, std::move(*fd));
      return;
    }
    error = fd.status();
  }
  ConnectFailed(error);
}

void ChannelCore::OnConnected() {
  const std::shared_ptr<ChannelCore> self = shared_from_this();
  const absl::Status status = FinishConnect(connector_->fd());
  if (!status.ok()) {
    ConnectToNext(status);
    return;
  }
  OwnedFd fd = connector_->TakeFd();
  AbandonConnect();
  TuneSocket(fd.get());
  connection_ = std::make_shared<ChannelConnection>(loop_, NewPlainStream(std::move(fd)),
                                                    limits_, this);
  connection_->Open();
  state_ = State::kUp;
  answered_ = false;
  in_flight_since_ = Timestamp::Infinite();
  const Duration shortest =
      std::min({limits_.idle_timeout, limits_.frame_timeout, limits_.write_timeout,
                options_.dead_peer_timeout, options_.unacknowledged_timeout});
  const int64_t period = std::clamp<int64_t>(shortest.micros() / 4, 10000, 500000);
  check_timer_ = loop_->RunEvery(Duration::Micros(period), [this] { CheckConnection(); });
  FlushQueue();
  if (hook_) hook_(true, absl::OkStatus());
}

void ChannelCore::FlushQueue() {
  for (const Queued& queued : std::exchange(queue_, {})) {
    const auto call = calls_.find(queued.sequence);
    // The deadline of the call has passed, and its caller was told that it was not sent.
    if (queued.sequence != 0 && call == calls_.end()) continue;
    connection_->AppendFrame(reinterpret_cast<const uint8_t*>(queued.frame.data()),
                             queued.frame.size());
    if (queued.sequence != 0) call->second->end_offset = connection_->appended();
  }
  queued_bytes_ = 0;
}

void ChannelCore::AbandonConnect() {
  ++connect_attempt_;
  targets_.clear();
  loop_->Cancel(std::exchange(connect_timer_, TimerId()));
  loop_->Cancel(std::exchange(check_timer_, TimerId()));
  connector_.reset();
}

void ChannelCore::ConnectFailed(const absl::Status& why) {
  const std::shared_ptr<ChannelCore> self = shared_from_this();
  AbandonConnect();
  EnterBackoff(why);
  FailAll(why, 0);
  if (hook_) hook_(false, why);
}

void ChannelCore::EnterBackoff(const absl::Status& why) {
  last_error_ = why;
  state_ = State::kBackoff;
  Duration delay = options_.reconnect_min;
  for (int i = 0; i < failures_ && delay < options_.reconnect_max; ++i) delay = delay * 2;
  delay = std::min(delay, options_.reconnect_max);
  ++failures_;
  const int64_t jittered = random_.Between(delay.micros() / 2, delay.micros());
  connect_timer_ = loop_->RunAfter(Duration::Micros(jittered), [this] {
    state_ = State::kIdle;
    if (options_.keep_connected) Connect();
  });
}

void ChannelCore::OnConnectionClosed(const absl::Status& why) {
  if (state_ != State::kUp) return;  // closed by Shutdown
  const std::shared_ptr<ChannelCore> self = shared_from_this();
  const uint64_t written = connection_->written();
  connection_ = nullptr;
  AbandonConnect();
  if (answered_) failures_ = 0;
  if (answered_ && !options_.keep_connected) {
    state_ = State::kIdle;
  } else {
    EnterBackoff(why);
  }
  const bool foreign = !answered_ && absl::IsInvalidArgument(why);
  FailAll(why, written, foreign ? CallFault::kForeignPeer : CallFault::kNone);
  if (hook_) hook_(false, why);
}

// ---- answers ----

void ChannelCore::OnReply(const uint8_t* data, size_t size) {
  const std::shared_ptr<ChannelCore> self = shared_from_this();
  const MessageHeader header = ReadMessageHeader(data, size);
  const auto found = header.has_name ? calls_.find(header.sequence) : calls_.end();
  if (found == calls_.end()) {
    connection_->Close(
        header.has_sequence
            ? absl::DataLossError("the server sent what is no answer")
            : absl::InvalidArgumentError("the server does not speak compact Thrift"));
    return;
  }
  std::unique_ptr<PendingCall> call = std::move(found->second);
  calls_.erase(found);
  answered_ = true;
  abandoned_since_ = loop_->Now();
  if (call == nullptr) {
    --abandoned_;  // the answer is too late
    return;
  }
  FinishReply(std::move(call), header, data, size);
}

CallOutcome ChannelCore::ReadReply(PendingCall* call, const MessageHeader& header,
                                   const uint8_t* data, size_t size, std::string* error) {
  try {
    in_codec_->BeginRead(data + header.size, size - header.size);
    const bool has_result = call->ReadResult(in_codec_.get());
    in_codec_->buffer()->readEnd();
    if (has_result) return CallOutcome::kReply;
    *error = "the server answered with an exception that the IDL declares";
    return CallOutcome::kRemoteError;
  } catch (const std::exception& thrown) {
    *error = absl::StrCat("the answer cannot be read: ", thrown.what());
    in_codec_ = MakeReader(limits_);
    return CallOutcome::kUnknown;
  }
}

void ChannelCore::FinishReply(std::unique_ptr<PendingCall> call,
                              const MessageHeader& header, const uint8_t* data,
                              size_t size) {
  using apache::thrift::protocol::T_EXCEPTION;
  using apache::thrift::protocol::T_REPLY;
  std::string error;
  if (header.type == T_EXCEPTION) {
    TApplicationException remote;
    try {
      in_codec_->BeginRead(data + header.size, size - header.size);
      remote.read(in_codec_.get());
    } catch (const std::exception& thrown) {
      remote = TApplicationException(thrown.what());
      in_codec_ = MakeReader(limits_);
    }
    call->Finish(CallOutcome::kRemoteError, remote.what(), remote.getType());
    return;
  }
  if (header.type != T_REPLY || header.name != call->method) {
    FailSoon(std::move(call), CallOutcome::kUnknown, "the answer is of another call");
    connection_->Close(absl::DataLossError("the server answered another call"));
    return;
  }
  const CallOutcome outcome = ReadReply(call.get(), header, data, size, &error);
  call->Finish(outcome, std::move(error), 0);
}

// ---- time ----

void ChannelCore::ArmSweep(Timestamp deadline) {
  if (deadline >= sweep_at_) return;
  loop_->Cancel(sweep_timer_);
  const Duration delay = std::max(deadline - loop_->Now(), kDeadlineGranularity);
  sweep_at_ = loop_->Now() + delay;
  sweep_timer_ = loop_->RunAfter(delay, [this] { SweepDeadlines(); });
}

void ChannelCore::SweepDeadlines() {
  sweep_at_ = Timestamp::Infinite();
  const Timestamp now = loop_->Now();
  Timestamp next = Timestamp::Infinite();
  for (auto it = calls_.begin(); it != calls_.end();) {
    const auto current = it++;
    if (current->second == nullptr) continue;
    if (current->second->deadline > now) {
      next = std::min(next, current->second->deadline);
      continue;
    }
    const bool queued = current->second->end_offset == 0;
    FailSoon(std::move(current->second),
             queued ? CallOutcome::kNotSent : CallOutcome::kUnknown,
             "no answer before the deadline");
    if (queued) {
      calls_.erase(current);
      continue;
    }
    current->second = nullptr;
    if (abandoned_++ == 0) abandoned_since_ = now;
  }
  if (next != Timestamp::Infinite()) ArmSweep(next);
}

Duration ChannelCore::UnacknowledgedFor(Timestamp now) {
  const InFlight in_flight = connection_->bytes_in_flight();
  if (!in_flight.any) {
    in_flight_since_ = Timestamp::Infinite();
    return Duration();
  }
  // An acknowledgement from before these bytes left says nothing about them.
  in_flight_since_ = std::min(in_flight_since_, now);
  return std::min(now - in_flight_since_, in_flight.since_last_acknowledgement);
}

void ChannelCore::CheckConnection() {
  const Timestamp now = loop_->Now();
  const Duration idle = Duration::Micros(limits_.idle_timeout.micros() / 4 * 3);
  absl::Status status = connection_->CheckTime(now, calls_.empty(), idle);
  const Timestamp silent_since = std::max(abandoned_since_, connection_->last_input());
  if (status.ok() && abandoned_ > 0 && now - silent_since > options_.dead_peer_timeout) {
    status = absl::UnavailableError("the server has been silent for too long");
  }
  if (status.ok() && UnacknowledgedFor(now) > options_.unacknowledged_timeout) {
    status = absl::UnavailableError("what was sent does not arrive");
  }
  if (!status.ok()) connection_->Close(status);
}

}  // namespace internal
}  // namespace concordat::rpc
