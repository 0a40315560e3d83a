// A stream of frames on one socket, the same for both ends: four bytes of length,
// big-endian, and so many bytes (Thrift's framed transport).
//
// Input is read in large chunks into the loop's buffer and handed on frame by frame,
// in place; only the rest of a chunk is kept. Output is collected and written once
// an iteration. An idle connection holds no buffers.
#ifndef THRIFT_RPC_CONNECTION_H_
#define THRIFT_RPC_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/limits.h"
#include "thrift/rpc/socket.h"

namespace concordat::rpc::internal {

class Connection : public std::enable_shared_from_this<Connection>,
                   private Flushable,
                   private FdWatch::Handler {
 public:
  Connection(EventLoop* loop, std::unique_ptr<Stream> stream, const Limits& limits);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Starts reading. Not in the constructor, because it needs shared_from_this.
  void Open();
  // At once; output not yet written is lost. OnClosed runs inside, the first time.
  void Close(const absl::Status& why);
  [[nodiscard]] bool is_open() const { return stream_ != nullptr; }

  void AppendFrame(const uint8_t* frame, size_t size);
  // Writes what can be written now.
  void FlushNow() { Flush(); }

  // Frames that have been read wait, and nothing more is read.
  void PauseReading();
  void ResumeReading();
  [[nodiscard]] bool is_paused() const { return paused_; }

  // Bytes appended so far, and how many of them the kernel has taken.
  [[nodiscard]] uint64_t appended() const { return appended_; }
  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] size_t buffered_out() const { return out_.size() - out_head_; }
  [[nodiscard]] Timestamp last_input() const { return last_input_; }
  // Of an open connection.
  [[nodiscard]] InFlight bytes_in_flight() const { return BytesInFlight(stream_->fd()); }
  // When the peer last said something, or took something of what it is told.
  [[nodiscard]] Timestamp last_activity() const {
    return last_input_ > last_output_ ? last_input_ : last_output_;
  }

  // Why the connection should be closed now, as time has passed: a slow sender, a
  // slow reader, or, when `may_be_idle`, nothing at all for `idle_timeout`. OK: it
  // should not. Also gives back memory that is not needed.
  [[nodiscard]] absl::Status CheckTime(Timestamp now, bool may_be_idle,
                                       Duration idle_timeout);

 protected:
  ~Connection();
  // One frame, without its length; valid during the call.
  virtual void OnFrame(const uint8_t* data, size_t size) = 0;
  virtual void OnClosed(const absl::Status& why) = 0;
  // Output has been taken by the kernel.
  virtual void OnWritten() {}

  EventLoop* const loop_;
  const Limits limits_;

 private:
  void Flush() final;
  void OnFdEvent(bool readable, bool writable) final;
  void OnReadable();
  void Consume(const uint8_t* data, size_t size);
  // Takes bytes into partial_; how many it took.
  size_t AddToPartial(const uint8_t* data, size_t size);
  // Of the frame that begins with `data`, at least four bytes.
  [[nodiscard]] bool CheckLength(const uint8_t* data, size_t size);
  void ConsumeKept();

  std::unique_ptr<Stream> stream_;
  std::unique_ptr<FdWatch> watch_;

  std::vector<uint8_t> partial_;  // the start of a frame; when paused, any frames
  Timestamp partial_since_;
  Timestamp last_input_;
  bool paused_ = false;
  bool resume_posted_ = false;

  std::vector<uint8_t> out_;
  size_t out_head_ = 0;
  uint64_t appended_ = 0;
  uint64_t written_ = 0;
  Timestamp last_output_;  // the peer took something, or there was nothing to take
};

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_CONNECTION_H_
