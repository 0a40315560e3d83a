// A stream of frames on one socket, used by both ends. A frame is four bytes of length,
// big-endian, and as many bytes of payload (Thrift's framed transport).
//
// Input is read in large chunks into the loop's buffer and passed on frame by frame, in
// place; only an incomplete frame at the end of a chunk is copied. Output is collected
// and written once an iteration of the loop. An idle connection holds no buffers.
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

  // Starts reading. The constructor cannot do this, because it needs shared_from_this.
  void Open();
  // Closes at once; output that is not yet written is lost. The first call runs OnClosed.
  void Close(const absl::Status& why);
  [[nodiscard]] bool is_open() const { return stream_ != nullptr; }

  void AppendFrame(const uint8_t* frame, size_t size);
  // Writes what can be written now.
  void FlushNow() { Flush(); }

  // Pauses: frames that have been read wait, and nothing more is read.
  void PauseReading();
  void ResumeReading();

  // How many bytes were appended so far, and how many of them the kernel has taken.
  [[nodiscard]] uint64_t appended() const { return appended_; }
  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] size_t buffered_out() const { return out_.size() - out_head_; }
  [[nodiscard]] Timestamp last_input() const { return last_input_; }
  // May be called only while the connection is open.
  [[nodiscard]] InFlight bytes_in_flight() const { return BytesInFlight(stream_->fd()); }
  // When the peer last sent something, or took some of the output.
  [[nodiscard]] Timestamp last_activity() const {
    return last_input_ > last_output_ ? last_input_ : last_output_;
  }

  // Returns why the connection should be closed now because time has passed: a slow
  // sender, a slow reader, or, when `may_be_idle`, no bytes at all for `idle_timeout`.
  // OK: it should stay open. This also frees buffers that are not needed.
  [[nodiscard]] absl::Status CheckTime(Timestamp now, bool may_be_idle,
                                       Duration idle_timeout);

 protected:
  ~Connection();
  // A frame arrived. `data` is without its length and valid only during the call.
  virtual void OnFrame(const uint8_t* data, size_t size) = 0;
  virtual void OnClosed(const absl::Status& why) = 0;
  // The kernel has taken output.
  virtual void OnWritten() {}

  EventLoop* const loop_;  // not owned
  const Limits limits_;

 private:
  void Flush() final;
  void OnFdEvent(bool readable, bool writable) final;
  void OnReadable();
  void Consume(const uint8_t* data, size_t size);
  // Copies bytes into partial_ and returns how many.
  size_t AddToPartial(const uint8_t* data, size_t size);
  // Checks the length of the frame that begins with `data`, which has at least four
  // bytes.
  [[nodiscard]] bool CheckLength(const uint8_t* data, size_t size);
  void ConsumeKept();

  std::unique_ptr<Stream> stream_;  // null when closed
  std::unique_ptr<FdWatch> watch_;  // null when closed

  std::vector<uint8_t> partial_;  // the start of a frame; when paused, any frames
  Timestamp partial_since_;       // when the first byte of partial_ came
  Timestamp last_input_;          // when bytes last arrived
  bool paused_ = false;           // no frames are passed to OnFrame
  bool resume_posted_ = false;    // ConsumeKept is posted and has not run

  std::vector<uint8_t> out_;  // output; the bytes before out_head_ have been written
  size_t out_head_ = 0;
  uint64_t appended_ = 0;  // bytes of output since the connection began
  uint64_t written_ = 0;   // how many of them the kernel has taken
  Timestamp last_output_;  // when the peer took output, or the output was empty
};

}  // namespace concordat::rpc::internal

#endif  // THRIFT_RPC_CONNECTION_H_
