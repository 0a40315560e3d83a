#include "coordinator/base/byte_codec.h"

namespace concordat {

namespace {

template <class T>
void AppendLittleEndian(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out->push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}

template <class T>
T LittleEndian(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value =
        static_cast<T>(value | static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i));
  }
  return value;
}

}  // namespace

void ByteWriter::U32(uint32_t value) { AppendLittleEndian(value, &out_); }
void ByteWriter::U64(uint64_t value) { AppendLittleEndian(value, &out_); }

void ByteWriter::Varint(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void ByteWriter::Bytes(std::string_view bytes) {
  Varint(bytes.size());
  out_.append(bytes);
}

bool ByteReader::Take(size_t count, std::string_view* bytes) {
  if (!ok_ || count > in_.size()) {
    ok_ = false;
    return false;
  }
  *bytes = in_.substr(0, count);
  in_.remove_prefix(count);
  return true;
}

uint8_t ByteReader::U8() {
  std::string_view bytes;
  return Take(1, &bytes) ? static_cast<uint8_t>(bytes[0]) : uint8_t{0};
}

uint32_t ByteReader::U32() {
  std::string_view bytes;
  return Take(4, &bytes) ? LittleEndian<uint32_t>(bytes) : 0;
}

uint64_t ByteReader::U64() {
  std::string_view bytes;
  return Take(8, &bytes) ? LittleEndian<uint64_t>(bytes) : 0;
}

uint64_t ByteReader::Varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = U8();
    if (!ok_) return 0;
    if (shift == 63 && byte > 1) break;  // more than 64 bits
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  ok_ = false;
  return 0;
}

std::string_view ByteReader::Bytes() {
  const uint64_t size = Varint();
  std::string_view bytes;
  if (!ok_ || size > in_.size()) {
    ok_ = false;
    return {};
  }
  return Take(static_cast<size_t>(size), &bytes) ? bytes : std::string_view();
}

}  // namespace concordat
