// Little-endian encoding of records that go to disk or into the replicated log.
//
//   ByteWriter w;  w.U8(kStaged);  w.Varint(n);  w.Bytes(name);  std::string s =
//   w.Take(); ByteReader r(s);  uint8_t kind = r.U8();  ...  if (!r.ok()) -> corrupt
//
// A reader never reads past its end: the first bad read makes ok() false for good,
// and every later read returns zero or an empty string.
#ifndef COORDINATOR_BASE_BYTE_CODEC_H_
#define COORDINATOR_BASE_BYTE_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat {

class ByteWriter {
 public:
  void U8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void U32(uint32_t value);
  void U64(uint64_t value);
  // LEB128: seven bits a byte, low bits first, at most ten bytes.
  void Varint(uint64_t value);
  // A varint length and the bytes.
  void Bytes(std::string_view bytes);

  [[nodiscard]] const std::string& str() const { return out_; }
  [[nodiscard]] std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  [[nodiscard]] uint8_t U8();
  [[nodiscard]] uint32_t U32();
  [[nodiscard]] uint64_t U64();
  [[nodiscard]] uint64_t Varint();
  // A view into the input.
  [[nodiscard]] std::string_view Bytes();

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }
  // All of the input was read, and nothing beyond it.
  [[nodiscard]] bool complete() const { return ok_ && in_.empty(); }
  [[nodiscard]] size_t remaining() const { return in_.size(); }

 private:
  [[nodiscard]] bool Take(size_t count, std::string_view* bytes);

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_BYTE_CODEC_H_
