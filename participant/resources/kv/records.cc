#include "participant/resources/kv/records.h"

#include <utility>

namespace concordat::participant::kv {

void Encode(const WriteSet& writes, ByteWriter* out) {
  out->Varint(writes.size());
  for (const auto& [key, value] : writes) {
    out->Bytes(key);
    out->U8(value.has_value() ? 1 : 0);
    if (value.has_value()) out->Bytes(*value);
  }
}

WriteSet DecodeWrites(ByteReader* in) {
  WriteSet writes;
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    std::string key(in->Bytes());
    if (in->U8() == 0) {
      writes.emplace(std::move(key), std::nullopt);
    } else {
      writes.emplace(std::move(key), std::string(in->Bytes()));
    }
  }
  return writes;
}

std::string BranchRecord(const BranchId& branch) {
  ByteWriter out;
  concordat::Encode(branch, &out);
  return out.Take();
}

std::string BranchRecord(const BranchId& branch, const WriteSet& writes) {
  ByteWriter out;
  concordat::Encode(branch, &out);
  Encode(writes, &out);
  return out.Take();
}

}  // namespace concordat::participant::kv
