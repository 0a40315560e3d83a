// Little-endian encoding of records that go to disk or into the replicated log.
//
//   ByteWriter writer;
//   writer.Varint(n);
//   writer.Bytes(name);
//   const std::string record = writer.Take();
//
//   ByteReader reader(record);
//   n = reader.Varint();
//   name = reader.Bytes();
//   if (!reader.complete()) return absl::DataLossError("not a record of this kind");
//
// A reader never reads past the end of its input: the first bad read makes ok() false for
// ever, and every later read returns zero or an empty string.
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
  // LEB128: seven bits in each byte, low bits first, at most ten bytes.
  void Varint(uint64_t value);
  // The length as a varint, then the bytes.
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
  // Returns a view into the input.
  [[nodiscard]] std::string_view Bytes();

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }
  // Whether exactly the whole input was read.
  [[nodiscard]] bool complete() const { return ok_ && in_.empty(); }
  [[nodiscard]] size_t remaining() const { return in_.size(); }

 private:
  [[nodiscard]] bool Take(size_t count, std::string_view* bytes);

  std::string_view in_;  // what is not read yet
  bool ok_ = true;       // no read has failed
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_BYTE_CODEC_H_
