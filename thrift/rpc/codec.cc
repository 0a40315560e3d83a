#include "thrift/rpc/codec.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::rpc {

using apache::thrift::protocol::TProtocolException;
using apache::thrift::protocol::TType;

namespace {

// Elements of these types would take no bytes. No peer of ours sends them, and their
// declared count would be a loop that the frame's size does not bound.
bool IsElementType(TType type) {
  return type != apache::thrift::protocol::T_STOP &&
         type != apache::thrift::protocol::T_VOID;
}

constexpr uint32_t kUnlimitedDepth = 1U << 30;

// Containers are checked in this file, so that the error can name the limit. But before
// that, Thrift multiplies the count by the least size of an element, in an int.
constexpr int32_t kMostThriftCanMultiply = std::numeric_limits<int32_t>::max() / 64;

}  // namespace

Codec::Codec(std::shared_ptr<FrameBuffer> buffer, const Limits& limits)
    : Base(std::move(buffer), static_cast<int32_t>(limits.max_string_bytes),
           kMostThriftCanMultiply),
      max_string_bytes_(limits.max_string_bytes),
      max_container_elements_(limits.max_container_elements),
      max_frame_elements_(limits.max_frame_elements) {
  setRecurisionLimit(limits.max_depth);
}

void Codec::BeginRead(const uint8_t* data, size_t size) {
  trans_->SetInput(data, size);
  elements_read_ = 0;
  read_excess_.clear();
}

void Codec::BeginWrite() {
  trans_->ClearOutput();
  elements_written_ = 0;
  write_excess_.clear();
}

std::string Codec::ExcessOf(uint32_t in_one, uint64_t in_all) const {
  if (in_one > max_container_elements_) {
    return absl::StrCat("a list of ", in_one, " elements, and ", max_container_elements_,
                        " are allowed");
  }
  if (in_all > max_frame_elements_) {
    return absl::StrCat("lists of ", in_all, " elements together, and ",
                        max_frame_elements_, " are allowed in one call");
  }
  return {};
}

void Codec::RefuseRead(std::string why) {
  read_excess_ = std::move(why);
  throw TProtocolException(TProtocolException::SIZE_LIMIT, read_excess_);
}

void Codec::CountWritten(uint32_t count) {
  elements_written_ += count;
  if (write_excess_.empty()) write_excess_ = ExcessOf(count, elements_written_);
}

void Codec::CheckElements(uint32_t count, uint32_t minimum_bytes) {
  std::string excess = ExcessOf(count, elements_read_ + count);
  if (!excess.empty()) RefuseRead(std::move(excess));
  if (uint64_t{count} * minimum_bytes > trans_->remaining()) {
    throw TProtocolException(TProtocolException::SIZE_LIMIT,
                             "more elements declared than the frame has bytes");
  }
  elements_read_ += count;
}

uint32_t Codec::readMessageBegin(std::string& name, TMessageType& type,
                                 int32_t& sequence) {
  uint32_t size = 0;
  const uint8_t* const data = trans_->borrow(nullptr, &size);
  const MessageHeader header = ReadMessageHeader(data, size);
  if (!header.has_name) {
    throw TProtocolException(TProtocolException::INVALID_DATA, "no message header");
  }
  type = static_cast<TMessageType>(header.type);
  sequence = header.sequence;
  name.assign(header.name);
  trans_->consume(static_cast<uint32_t>(header.size));
  return static_cast<uint32_t>(header.size);
}

uint32_t Codec::readMessageBegin_virt(std::string& name, TMessageType& type,
                                      int32_t& sequence) {
  return readMessageBegin(name, type, sequence);
}

uint32_t Codec::readListBegin(TType& element, uint32_t& size) {
  const uint32_t bytes = Base::readListBegin(element, size);
  if (size != 0 && !IsElementType(element)) {
    throw TProtocolException(TProtocolException::INVALID_DATA, "no element type");
  }
  CheckElements(size, 1);
  return bytes;
}

uint32_t Codec::readSetBegin(TType& element, uint32_t& size) {
  return readListBegin(element, size);
}

uint32_t Codec::readMapBegin(TType& key, TType& value, uint32_t& size) {
  const uint32_t bytes = Base::readMapBegin(key, value, size);
  if (size != 0 && (!IsElementType(key) || !IsElementType(value))) {
    throw TProtocolException(TProtocolException::INVALID_DATA, "no element type");
  }
  CheckElements(size, 2);
  return bytes;
}

uint32_t Codec::readString(std::string& text) {
  int32_t size = 0;
  const uint32_t bytes = readVarint32(size);
  if (size < 0) throw TProtocolException(TProtocolException::NEGATIVE_SIZE);
  const auto length = static_cast<uint32_t>(size);
  if (length > max_string_bytes_) {
    RefuseRead(absl::StrCat("a text or binary of ", length, " bytes, and ",
                            max_string_bytes_, " are allowed"));
  }
  if (length == 0) {
    text.clear();
  } else {
    text.assign(reinterpret_cast<const char*>(trans_->Take(length)), length);
  }
  return bytes + length;
}

uint32_t Codec::writeListBegin(TType element, uint32_t size) {
  CountWritten(size);
  return Base::writeListBegin(element, size);
}

uint32_t Codec::writeSetBegin(TType element, uint32_t size) {
  CountWritten(size);
  return Base::writeSetBegin(element, size);
}

uint32_t Codec::writeMapBegin(TType key, TType value, uint32_t size) {
  CountWritten(size);
  return Base::writeMapBegin(key, value, size);
}

uint32_t Codec::writeListBegin_virt(TType element, uint32_t size) {
  return writeListBegin(element, size);
}
uint32_t Codec::writeSetBegin_virt(TType element, uint32_t size) {
  return writeSetBegin(element, size);
}
uint32_t Codec::writeMapBegin_virt(TType key, TType value, uint32_t size) {
  return writeMapBegin(key, value, size);
}
uint32_t Codec::readListBegin_virt(TType& element, uint32_t& size) {
  return readListBegin(element, size);
}
uint32_t Codec::readSetBegin_virt(TType& element, uint32_t& size) {
  return readSetBegin(element, size);
}
uint32_t Codec::readMapBegin_virt(TType& key, TType& value, uint32_t& size) {
  return readMapBegin(key, value, size);
}
uint32_t Codec::readString_virt(std::string& text) { return readString(text); }
uint32_t Codec::readBinary_virt(std::string& bytes) { return readString(bytes); }

std::shared_ptr<Codec> MakeReader(const Limits& limits) {
  return std::make_shared<Codec>(std::make_shared<FrameBuffer>(), limits);
}

std::shared_ptr<Codec> MakeWriter(const Limits& limits) {
  auto codec = std::make_shared<Codec>(std::make_shared<FrameBuffer>(), limits);
  codec->setRecurisionLimit(kUnlimitedDepth);
  return codec;
}

namespace {

// Reads at most five bytes; false when they are no varint.
bool ReadVarint(const uint8_t*& at, const uint8_t* end, uint32_t* value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 35 && at != end; shift += 7) {
    const uint8_t byte = *at++;
    result |= uint64_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) {
      *value = static_cast<uint32_t>(result);
      return true;
    }
  }
  return false;
}

}  // namespace

MessageHeader ReadMessageHeader(const uint8_t* data, size_t size) {
  MessageHeader header;
  const uint8_t* at = data;
  const uint8_t* const end = data + size;
  if (size < 2 || at[0] != static_cast<uint8_t>(Codec::PROTOCOL_ID) ||
      (at[1] & 0x1FU) != static_cast<uint8_t>(Codec::VERSION_N)) {
    return header;
  }
  header.type = at[1] >> 5U;
  at += 2;
  uint32_t sequence = 0;
  if (!ReadVarint(at, end, &sequence)) return header;
  header.sequence = static_cast<int32_t>(sequence);
  header.has_sequence = true;
  uint32_t length = 0;
  if (!ReadVarint(at, end, &length)) return header;
  if (length > kMaxMethodNameBytes || length > static_cast<size_t>(end - at))
    return header;
  header.name = std::string_view(reinterpret_cast<const char*>(at), length);
  header.has_name = true;
  header.size = static_cast<size_t>(at - data) + length;
  return header;
}

}  // namespace concordat::rpc
