// What a Server is made of. Calls keep it alive: a handler may answer after the
// Server is gone, and nothing happens then. For this folder only.
#ifndef THRIFT_RPC_SERVER_CORE_H_
#define THRIFT_RPC_SERVER_CORE_H_

#include <thrift/TApplicationException.h>
#include <thrift/async/TAsyncProcessor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "thrift/rpc/connection.h"
#include "thrift/rpc/server.h"

namespace concordat::rpc::internal {

using apache::thrift::TApplicationException;
using ErrorType = TApplicationException::TApplicationExceptionType;

class ServerCore;

class ServerConnection final : public Connection {
 public:
  ServerConnection(EventLoop* loop, std::unique_ptr<Stream> stream, const Limits& limits,
                   ServerCore* core, CallContext context)
      : Connection(loop, std::move(stream), limits),
        core_(core),
        context_(std::move(context)) {}

  [[nodiscard]] const CallContext& context() const { return context_; }
  [[nodiscard]] size_t calls() const { return calls_; }
  [[nodiscard]] bool has_called() const { return has_called_; }
  void AddCall(size_t bytes);
  void RemoveCall(size_t bytes);
  // Stays paused from now on.
  void StopReading();
  void CountBadFrame();

 private:
  void OnFrame(const uint8_t* data, size_t size) override;
  void OnClosed(const absl::Status& why) override;
  void OnWritten() override { ReviewPause(); }
  [[nodiscard]] bool OverBudget() const;
  void ReviewPause();

  ServerCore* const core_;  // valid while the connection is open
  const CallContext context_;
  bool has_called_ = false;
  size_t calls_ = 0;
  size_t call_bytes_ = 0;
  uint32_t bad_frames_ = 0;
  bool stopping_ = false;
};

// One call between its dispatch and its answer. Shared by the copies of the
// handler's callback; the last one to go, on whatever thread, without an answer
// posts one.
struct CallRecord {
  std::shared_ptr<ServerCore> core;
  std::shared_ptr<ServerConnection> connection;
  std::string method;
  int32_t sequence = 0;
  bool oneway = false;
  size_t bytes = 0;
};

class ServerCall {
 public:
  explicit ServerCall(CallRecord record) : record_(std::move(record)) {}
  ~ServerCall();
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  // What the generated code calls when the answer has been written, or (false) when
  // the arguments could not be read.
  void Done(bool ok);
  // The processor threw.
  void Threw(const std::string& what);
  [[nodiscard]] bool was_malformed() const { return malformed_; }

 private:
  CallRecord record_;
  bool answered_ = false;
  bool malformed_ = false;
};

class Listener;

class ServerCore : public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(EventLoop* loop,
             std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor,
             Limits limits, ServerOptions options);
  ~ServerCore();

  absl::StatusOr<Address> Listen(const Address& address);
  void Stop(Duration grace, absl::AnyInvocable<void()> done);
  void CloseAll();

  // From listeners.
  [[nodiscard]] bool IsFull() const {
    return connections_.size() >= limits_.max_connections;
  }
  // Closes a quiet connection for a new one. False: there is none.
  [[nodiscard]] bool MakeRoom();
  void Accept(OwnedFd fd, const SocketAddress& peer);
  void OnAcceptPaused(std::string_view why);

  // From connections.
  void Dispatch(ServerConnection* connection, const uint8_t* data, size_t size);
  void OnConnectionClosed(ServerConnection* connection, const absl::Status& why);

  // From calls: the answer is in the writer.
  void SendAnswer(const CallRecord& call);
  void SendError(const CallRecord& call, ErrorType type, const std::string& text);
  void Release(const CallRecord& call);
  // Whether the frame being dispatched could be read to its end.
  [[nodiscard]] bool arguments_complete() const {
    return reader_->buffer()->read_complete();
  }
  [[nodiscard]] bool is_dispatching(const ServerCall* call) const {
    return dispatching_ == call;
  }
  // Why a limit kept it from that; empty: none did.
  [[nodiscard]] const std::string& arguments_excess() const {
    return reader_->read_excess();
  }
  void DiscardAnswer() { writer_->BeginWrite(); }

  [[nodiscard]] EventLoop* loop() { return loop_; }
  [[nodiscard]] const std::shared_ptr<PostQueue>& posts() const { return posts_; }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] size_t connections() const { return connections_.size(); }
  ServerStats stats;

 private:
  // Who would lose its place to a new connection; null: nobody.
  [[nodiscard]] std::shared_ptr<ServerConnection> MostReplaceable() const;
  void RunProcessor(const std::shared_ptr<ServerCall>& call);
  void Refuse(ServerConnection* connection, const MessageHeader& header, ErrorType type,
              const std::string& text);
  void WriteError(ServerConnection* connection, std::string_view method, int32_t sequence,
                  ErrorType type, const std::string& text);
  // The size and the limit that the answer in the writer is over; empty: none.
  [[nodiscard]] std::string AnswerExcess() const;
  void SendTooLarge(const CallRecord& call, const std::string& excess);
  void Sweep();
  void FinishStopIfIdle();
  void FinishStop();

  EventLoop* const loop_;
  const std::shared_ptr<PostQueue> posts_;
  const std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor_;
  const Limits limits_;
  const ServerOptions options_;

  // One of each serves all connections: a frame is read and an answer written in one
  // go. A reader that has failed is replaced.
  std::shared_ptr<Codec> reader_;
  const std::shared_ptr<Codec> writer_;
  const ServerCall* dispatching_ = nullptr;

  std::vector<std::unique_ptr<Listener>> listeners_;
  absl::flat_hash_map<ServerConnection*, std::shared_ptr<ServerConnection>> connections_;
  absl::flat_hash_map<std::string, uint32_t> connections_of_peer_;
  TimerId sweep_timer_;
  size_t calls_ = 0;

  bool stopping_ = false;
  TimerId stop_timer_;
  absl::AnyInvocable<void()> stop_done_;
};

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_SERVER_CORE_H_
