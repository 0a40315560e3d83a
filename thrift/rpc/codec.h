// Thrift's compact protocol over one frame in memory, with Limits built in. It is the
// parameter of generated templates, so that they decode without virtual calls:
// EchoServiceAsyncProcessorT<Codec>.
//
// Thrift 0.17's own limits are not enough: a list of structs passes its size check
// whatever size it declares (the minimum size of a struct counts as 0) and is allocated
// before the first element is read; strings are allocated by their declared size; and a
// depth error leaves the depth counter raised. Here a container may not declare more
// elements than the frame has bytes left, all containers of a frame share a budget,
// strings are copied out of the frame, and a codec that has failed is discarded.
#ifndef THRIFT_RPC_CODEC_H_
#define THRIFT_RPC_CODEC_H_

#include <thrift/protocol/TCompactProtocol.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "thrift/rpc/frame_buffer.h"
#include "thrift/rpc/limits.h"

namespace concordat::rpc {

class Codec final : public apache::thrift::protocol::TCompactProtocolT<FrameBuffer> {
 public:
  using Base = apache::thrift::protocol::TCompactProtocolT<FrameBuffer>;
  using TType = apache::thrift::protocol::TType;
  using TMessageType = apache::thrift::protocol::TMessageType;

  Codec(std::shared_ptr<FrameBuffer> buffer, const Limits& limits);

  [[nodiscard]] FrameBuffer* buffer() { return trans_; }
  // Starts a frame that is read, or one that is written.
  void BeginRead(const uint8_t* data, size_t size);
  void BeginWrite();
  // Why the message that is being read, or was read last, is over a limit. Empty: it is
  // not.
  [[nodiscard]] const std::string& read_excess() const { return read_excess_; }
  // Why the message written since BeginWrite is over a limit, so that its reader would
  // refuse it. Empty: it is not. The message is complete even so.
  [[nodiscard]] const std::string& write_excess() const { return write_excess_; }

  // These hide the functions of the base class; the generated templates call them.
  uint32_t readMessageBegin(std::string& name, TMessageType& type, int32_t& sequence);
  uint32_t readListBegin(TType& element, uint32_t& size);
  uint32_t readSetBegin(TType& element, uint32_t& size);
  uint32_t readMapBegin(TType& key, TType& value, uint32_t& size);
  uint32_t readString(std::string& text);
  uint32_t readBinary(std::string& bytes) { return readString(bytes); }
  uint32_t writeListBegin(TType element, uint32_t size);
  uint32_t writeSetBegin(TType element, uint32_t size);
  uint32_t writeMapBegin(TType key, TType value, uint32_t size);

  // For code that reads through TProtocol.
  uint32_t readMessageBegin_virt(std::string& name, TMessageType& type,
                                 int32_t& sequence) override;
  uint32_t readListBegin_virt(TType& element, uint32_t& size) override;
  uint32_t readSetBegin_virt(TType& element, uint32_t& size) override;
  uint32_t readMapBegin_virt(TType& key, TType& value, uint32_t& size) override;
  uint32_t readString_virt(std::string& text) override;
  uint32_t readBinary_virt(std::string& bytes) override;
  uint32_t writeListBegin_virt(TType element, uint32_t size) override;
  uint32_t writeSetBegin_virt(TType element, uint32_t size) override;
  uint32_t writeMapBegin_virt(TType key, TType value, uint32_t size) override;

  // These replace the functions of the base class, which would call its own functions.
  uint32_t skip(TType type) { return apache::thrift::protocol::skip(*this, type); }
  uint32_t skip_virt(TType type) override { return skip(type); }

 private:
  void CheckElements(uint32_t count, uint32_t minimum_bytes);
  [[noreturn]] void RefuseRead(std::string why);
  void CountWritten(uint32_t count);
  // Why a container of `in_one` elements, or `in_all` elements in all containers, are
  // too many. Empty: they are not.
  [[nodiscard]] std::string ExcessOf(uint32_t in_one, uint64_t in_all) const;

  const uint32_t max_string_bytes_;
  const uint32_t max_container_elements_;
  const uint32_t max_frame_elements_;
  uint64_t elements_read_ = 0;     // of all containers of the frame
  uint64_t elements_written_ = 0;  // of all containers of the message
  std::string read_excess_;        // the limit that was exceeded; empty: none
  std::string write_excess_;       // the same, for writing
};

// Make a codec with a buffer of its own. Depth is checked only when reading, since what
// is written is our own.
[[nodiscard]] std::shared_ptr<Codec> MakeReader(const Limits& limits);
[[nodiscard]] std::shared_ptr<Codec> MakeWriter(const Limits& limits = {});

// The beginning of a message in the compact protocol, read from untrusted bytes.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
struct MessageHeader {
  // The parts that could be read.
  bool has_sequence = false;  // if true, type and sequence are valid
  bool has_name = false;      // if true, name and size are valid
  int type = 0;               // TMessageType as sent: any value of three bits
  int32_t sequence = 0;       // identifies the call on its connection
  std::string_view name;      // points into the frame
  size_t size = 0;            // where the body begins; valid when has_name
};
inline constexpr size_t kMaxMethodNameBytes = 128;
[[nodiscard]] MessageHeader ReadMessageHeader(const uint8_t* data, size_t size);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_CODEC_H_
