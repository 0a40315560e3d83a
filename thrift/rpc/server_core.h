// The implementation of Server. Calls keep it alive: a handler may answer after the
// Server is gone, and the answer is dropped. For this folder only.
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
  // Reads nothing more from now on.
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
  bool has_called_ = false;  // a request has arrived
  size_t calls_ = 0;         // without an answer
  size_t call_bytes_ = 0;    // of the requests without an answer
  uint32_t bad_frames_ = 0;  // frames that were refused
  bool stopping_ = false;    // StopReading was called
};

// One call between its dispatch and its answer. The copies of the handler's callback
// share it. When the last copy is destroyed without an answer, on whatever thread, an
// error is posted as the answer.
struct CallRecord {
  std::shared_ptr<ServerCore> core;
  std::shared_ptr<ServerConnection> connection;
  std::string method;
  int32_t sequence = 0;
  bool oneway = false;  // the caller expects no answer
  size_t bytes = 0;     // size of the request
};

class ServerCall {
 public:
  explicit ServerCall(CallRecord record) : record_(std::move(record)) {}
  ~ServerCall();
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  // The generated code calls this when the answer has been written, or with false when
  // the arguments could not be read.
  void Done(bool ok);
  // The processor threw an exception.
  void Threw(const std::string& what);
  [[nodiscard]] bool was_malformed() const { return malformed_; }

 private:
  CallRecord record_;
  bool answered_ = false;   // an answer or an error has been sent
  bool malformed_ = false;  // the arguments could not be read
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

  // Called by listeners.
  [[nodiscard]] bool IsFull() const {
    return connections_.size() >= limits_.max_connections;
  }
  // Closes a quiet connection in favour of a new one. False: there is none to close.
  [[nodiscard]] bool MakeRoom();
  void Accept(OwnedFd fd, const SocketAddress& peer);
  void OnAcceptPaused(std::string_view why);

  // Called by connections.
  void Dispatch(ServerConnection* connection, const uint8_t* data, size_t size);
  void OnConnectionClosed(ServerConnection* connection, const absl::Status& why);

  // Called by calls. SendAnswer sends the answer that is in writer_.
  void SendAnswer(const CallRecord& call);
  void SendError(const CallRecord& call, ErrorType type, const std::string& text);
  void Release(const CallRecord& call);
  // True: the frame that is being dispatched could be read to its end.
  [[nodiscard]] bool arguments_complete() const {
    return reader_->buffer()->read_complete();
  }
  [[nodiscard]] bool is_dispatching(const ServerCall* call) const {
    return dispatching_ == call;
  }
  // Which limit prevented that; empty: none.
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
  // Which connection would be closed in favour of a new one; null: none.
  [[nodiscard]] std::shared_ptr<ServerConnection> MostReplaceable() const;
  void RunProcessor(const std::shared_ptr<ServerCall>& call);
  void Refuse(ServerConnection* connection, const MessageHeader& header, ErrorType type,
              const std::string& text);
  void WriteError(ServerConnection* connection, std::string_view method, int32_t sequence,
                  ErrorType type, const std::string& text);
  // Size and limit if the answer in writer_ is over a limit; empty: it is not.
  [[nodiscard]] std::string AnswerExcess() const;
  void SendTooLarge(const CallRecord& call, const std::string& excess);
  void Sweep();
  void FinishStopIfIdle();
  void FinishStop();

  EventLoop* const loop_;  // not owned; must outlive the server
  const std::shared_ptr<PostQueue> posts_;
  const std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor_;
  const Limits limits_;
  const ServerOptions options_;

  // One reader and one writer serve all connections, since a frame is read and an
  // answer is written without interruption. A reader that has failed is replaced.
  std::shared_ptr<Codec> reader_;
  const std::shared_ptr<Codec> writer_;
  const ServerCall* dispatching_ = nullptr;  // null: none; compared, never followed

  std::vector<std::unique_ptr<Listener>> listeners_;
  absl::flat_hash_map<ServerConnection*, std::shared_ptr<ServerConnection>> connections_;
  // Number of connections by PeerKey.
  absl::flat_hash_map<std::string, uint32_t> connections_of_peer_;
  TimerId sweep_timer_;  // runs Sweep
  size_t calls_ = 0;     // of all connections, without an answer

  bool stopping_ = false;                 // Stop was called
  TimerId stop_timer_;                    // the end of Stop's grace
  absl::AnyInvocable<void()> stop_done_;  // Stop's `done`
};

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_SERVER_CORE_H_
