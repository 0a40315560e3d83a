// One frame in memory, as Thrift's protocols use it. They read from a window on
// received bytes and write into a buffer that is used again and again. There are no
// virtual calls, no copies of input, and no count of what a frame has declared: a read
// past the window's end throws, and nothing else is checked.
#ifndef THRIFT_RPC_FRAME_BUFFER_H_
#define THRIFT_RPC_FRAME_BUFFER_H_

#include <thrift/transport/TTransportException.h>
#include <thrift/transport/TVirtualTransport.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace concordat::rpc {

class FrameBuffer final
    : public apache::thrift::transport::TVirtualTransport<FrameBuffer> {
 public:
  using Exception = apache::thrift::transport::TTransportException;

  FrameBuffer() = default;

  // --- reading ---
  // The bytes must stay where they are until the frame has been read.
  void SetInput(const uint8_t* data, size_t size) {
    read_ = data;
    read_end_ = data + size;
    read_complete_ = false;
  }
  [[nodiscard]] size_t remaining() const {
    return static_cast<size_t>(read_end_ - read_);
  }
  // True: everything was read, and the reader has called readEnd.
  [[nodiscard]] bool read_complete() const { return read_complete_; }
  // Returns the next bytes, in place.
  const uint8_t* Take(size_t size) {
    if (size > remaining()) {
      throw Exception(Exception::END_OF_FILE, "the frame ends too early");
    }
    const uint8_t* bytes = read_;
    read_ += size;
    return bytes;
  }

  // --- writing ---
  void ClearOutput() {
    // One large frame is no reason to keep its memory.
    if (out_.size() > kKeepBytes) {
      out_.resize(kKeepBytes);
      out_.shrink_to_fit();
    }
    written_ = 0;
  }
  [[nodiscard]] const uint8_t* output() const { return out_.data(); }
  [[nodiscard]] size_t output_size() const { return written_; }

  // --- what the protocols call ---
  [[nodiscard]] bool isOpen() const override { return true; }
  void open() override {}
  void close() override {}
  uint32_t read(uint8_t* buffer, uint32_t size) { return readAll(buffer, size); }
  uint32_t readAll(uint8_t* buffer, uint32_t size) {
    if (size != 0) std::memcpy(buffer, Take(size), size);
    return size;
  }
  const uint8_t* borrow(uint8_t* /*buffer*/, uint32_t* size) {
    if (*size > remaining()) return nullptr;
    *size = static_cast<uint32_t>(remaining());
    return read_;
  }
  void consume(uint32_t size) { (void)Take(size); }
  void write(const uint8_t* bytes, uint32_t size) {
    if (out_.size() - written_ < size) Grow(size);
    if (size != 0) std::memcpy(out_.data() + written_, bytes, size);
    written_ += size;
  }
  // Called at the end of a message. Bytes left over mean that the peer and this process
  // do not agree on the contents of the message.
  uint32_t readEnd() override {
    if (remaining() != 0) {
      throw Exception(Exception::CORRUPTED_DATA, "bytes left over in the frame");
    }
    read_complete_ = true;
    return 0;
  }
  uint32_t writeEnd() override { return static_cast<uint32_t>(written_); }
  void flush() override {}

  // Replaces Thrift's own check, which counts against a message size of its own.
  void checkReadBytesAvailable(long bytes) const {
    if (bytes < 0 || static_cast<size_t>(bytes) > remaining()) {
      throw Exception(Exception::END_OF_FILE, "more declared than the frame holds");
    }
  }

 private:
  static constexpr size_t kKeepBytes = size_t{1} << 20;  // of output, between messages

  void Grow(size_t size) {
    size_t capacity = out_.empty() ? 4096 : out_.size() * 2;
    while (capacity - written_ < size) capacity *= 2;
    out_.resize(capacity);
  }

  const uint8_t* read_ = nullptr;      // the next byte of input
  const uint8_t* read_end_ = nullptr;  // the end of input
  bool read_complete_ = false;         // the frame was read to its end
  std::vector<uint8_t> out_;           // output; its size is the capacity
  size_t written_ = 0;                 // bytes of output in out_
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_FRAME_BUFFER_H_
