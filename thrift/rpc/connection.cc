#include "thrift/rpc/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "thrift/rpc/foreign.h"

namespace concordat::rpc::internal {

namespace {

constexpr size_t kLengthBytes = 4;
// The buffers of a quiet connection are freed when they are larger than this.
constexpr size_t kKeepBytes = 4096;
constexpr Duration kQuiet = Duration::Millis(500);

uint32_t ReadLength(const uint8_t* data) {
  return uint32_t{data[0]} << 24U | uint32_t{data[1]} << 16U | uint32_t{data[2]} << 8U |
         uint32_t{data[3]};
}

void ReleaseIfLarge(std::vector<uint8_t>* buffer) {
  if (buffer->empty() && buffer->capacity() > kKeepBytes) {
    std::vector<uint8_t>().swap(*buffer);
  }
}

}  // namespace

Connection::Connection(EventLoop* loop, std::unique_ptr<Stream> stream,
                       const Limits& limits)
    : loop_(loop), limits_(limits), stream_(std::move(stream)) {
  watch_.reset(new FdWatch(loop_, stream_->fd(), this));
  last_input_ = last_output_ = loop_->Now();
}

Connection::~Connection() {
  // The last reference may be released on another thread, after the loop's end. The
  // watch and the descriptor are gone by then.
  CONCORDAT_CHECK(stream_ == nullptr) << "a connection must be closed";
}

void Connection::Open() { watch_->WatchRead(true); }

void Connection::Close(const absl::Status& why) {
  if (stream_ == nullptr) return;
  loop_->CancelFlush(this);
  watch_.reset();
  stream_.reset();
  std::vector<uint8_t>().swap(out_);
  out_head_ = 0;
  OnClosed(why);
}

// ---- input ----

void Connection::OnFdEvent(bool readable, bool writable) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (writable && stream_ != nullptr) {
    watch_->WatchWrite(false);
    Flush();
  }
  if (readable && stream_ != nullptr) OnReadable();
}

void Connection::OnReadable() {
  if (paused_) return;  // paused by an earlier event of this iteration
  uint8_t* const buffer = loop_->read_buffer();
  const IoResult result = stream_->Read(buffer, EventLoop::kReadBufferBytes);
  switch (result.state) {
    case IoState::kDone:
      last_input_ = loop_->Now();
      Consume(buffer, result.bytes);
      return;
    case IoState::kWaitReadable:
      return;
    case IoState::kWaitWritable:
      watch_->WatchWrite(true);
      return;
    case IoState::kEnd:
      Close(absl::UnavailableError("the peer has closed the connection"));
      return;
    case IoState::kError:
      Close(absl::ErrnoToStatus(result.error, "cannot read"));
      return;
  }
}

bool Connection::CheckLength(const uint8_t* data, size_t size) {
  const uint32_t length = ReadLength(data);
  if (length != 0 && length <= limits_.max_frame_bytes) return true;
  const std::string_view looks = StreamLooksLike(data, size);
  if (!looks.empty()) {
    Close(absl::InvalidArgumentError(
        absl::StrCat("not a framed compact Thrift message: it looks like ",
                     absl::string_view(looks.data(), looks.size()))));
    return false;
  }
  Close(absl::InvalidArgumentError(
      absl::StrCat("a frame of ", static_cast<int32_t>(length), " bytes, and 1 to ",
                   limits_.max_frame_bytes, " are allowed")));
  return false;
}

void Connection::Consume(const uint8_t* data, size_t size) {
  while (size > 0 && stream_ != nullptr) {
    if (paused_ || !partial_.empty() || size < kLengthBytes) {
      const size_t took = AddToPartial(data, size);
      data += took;
      size -= took;
      continue;
    }
    if (!CheckLength(data, size)) return;
    const size_t length = ReadLength(data);
    if (size - kLengthBytes < length) {
      partial_since_ = loop_->Now();
      partial_.insert(partial_.end(), data, data + size);
      return;
    }
    OnFrame(data + kLengthBytes, length);
    data += kLengthBytes + length;
    size -= kLengthBytes + length;
  }
}

size_t Connection::AddToPartial(const uint8_t* data, size_t size) {
  if (partial_.empty()) partial_since_ = loop_->Now();
  if (paused_) {
    partial_.insert(partial_.end(), data, data + size);
    return size;
  }
  size_t wanted = kLengthBytes;
  if (partial_.size() >= kLengthBytes) wanted += ReadLength(partial_.data());
  const size_t took = std::min(size, wanted - partial_.size());
  partial_.insert(partial_.end(), data, data + took);
  if (partial_.size() == kLengthBytes) {
    (void)CheckLength(partial_.data(), partial_.size());
    return took;
  }
  if (partial_.size() < wanted || wanted == kLengthBytes) return took;
  // The frame is complete. It is moved out, so that OnFrame finds partial_ empty.
  std::vector<uint8_t> frame = std::exchange(partial_, {});
  OnFrame(frame.data() + kLengthBytes, frame.size() - kLengthBytes);
  if (partial_.empty() && frame.capacity() <= EventLoop::kReadBufferBytes) {
    frame.clear();
    partial_ = std::move(frame);
  }
  return took;
}

void Connection::PauseReading() {
  if (stream_ == nullptr || paused_) return;
  paused_ = true;
  watch_->WatchRead(false);
}

void Connection::ResumeReading() {
  if (stream_ == nullptr || !paused_ || resume_posted_) return;
  // The frames that wait are not consumed here, since this is called from inside a
  // handler's answer and they would run other handlers inside it.
  resume_posted_ = true;
  loop_->Post([self = shared_from_this()] { self->ConsumeKept(); });
}

void Connection::ConsumeKept() {
  resume_posted_ = false;
  if (stream_ == nullptr) return;
  paused_ = false;
  watch_->WatchRead(true);
  if (partial_.empty()) return;
  const std::vector<uint8_t> kept = std::exchange(partial_, {});
  Consume(kept.data(), kept.size());
}

// ---- output ----

void Connection::AppendFrame(const uint8_t* frame, size_t size) {
  if (stream_ == nullptr) return;
  if (out_head_ > 0 && out_.capacity() - out_.size() < size + kLengthBytes) {
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(out_head_));
    out_head_ = 0;
  }
  if (buffered_out() == 0) last_output_ = loop_->Now();
  const uint8_t length[kLengthBytes] = {
      static_cast<uint8_t>(size >> 24U), static_cast<uint8_t>(size >> 16U),
      static_cast<uint8_t>(size >> 8U), static_cast<uint8_t>(size)};
  out_.insert(out_.end(), length, length + kLengthBytes);
  out_.insert(out_.end(), frame, frame + size);
  appended_ += kLengthBytes + size;
  if (!watch_->writing()) loop_->QueueFlush(this);
}

void Connection::Flush() {
  if (stream_ == nullptr || buffered_out() == 0) return;
  const std::shared_ptr<Connection> self = shared_from_this();
  const IoResult result = stream_->Write(out_.data() + out_head_, buffered_out());
  switch (result.state) {
    case IoState::kDone:
      out_head_ += result.bytes;
      written_ += result.bytes;
      last_output_ = loop_->Now();
      if (buffered_out() == 0) {
        out_.clear();
        out_head_ = 0;
      } else {
        watch_->WatchWrite(true);
      }
      OnWritten();
      return;
    case IoState::kWaitWritable:
      watch_->WatchWrite(true);
      return;
    case IoState::kWaitReadable:
      return;
    case IoState::kEnd:
    case IoState::kError:
      Close(absl::ErrnoToStatus(result.error, "cannot write"));
      return;
  }
}

absl::Status Connection::CheckTime(Timestamp now, bool may_be_idle,
                                   Duration idle_timeout) {
  if (!partial_.empty() && !paused_ && now - partial_since_ > limits_.frame_timeout) {
    return absl::DeadlineExceededError("a frame took too long to arrive");
  }
  if (buffered_out() > 0 && now - last_output_ > limits_.write_timeout) {
    return absl::DeadlineExceededError("the peer does not read");
  }
  const Timestamp last = last_activity();
  if (may_be_idle && buffered_out() == 0 && partial_.empty() &&
      now - last > idle_timeout) {
    return absl::DeadlineExceededError("nothing was said for a long time");
  }
  if (now - last > kQuiet) {
    ReleaseIfLarge(&partial_);
    ReleaseIfLarge(&out_);
  }
  return absl::OkStatus();
}

}  // namespace concordat::rpc::internal
