#include "participant/resources/sqlite/redo.h"

#include "coordinator/base/byte_codec.h"
#include "participant/resources/sqlite/lock_table.h"

namespace concordat::participant::sqlite {

namespace {

constexpr uint8_t kVersion = 2;

Redo DecodeCall(ByteReader* in) {
  Redo call;
  const uint64_t tables = in->Varint();
  for (uint64_t i = 0; i < tables && in->ok(); ++i) {
    RedoTable& table = call.tables.emplace_back();
    table.name = std::string(in->Bytes());
    table.columns = static_cast<uint32_t>(in->Varint());
    table.fingerprint = in->U32();
    table.keys_fingerprint = in->U32();
  }
  call.steps = in->Varint();
  call.bytes = std::string(in->Bytes());
  return call;
}

}  // namespace

std::string EncodeRedo(const std::vector<Redo>& calls) {
  ByteWriter out;
  out.U8(kVersion);
  out.Varint(calls.size());
  for (const Redo& call : calls) {
    out.Varint(call.tables.size());
    for (const RedoTable& table : call.tables) {
      out.Bytes(table.name);
      out.Varint(table.columns);
      out.U32(table.fingerprint);
      out.U32(table.keys_fingerprint);
    }
    out.Varint(call.steps);
    out.Bytes(call.bytes);
  }
  return out.Take();
}

absl::StatusOr<std::vector<Redo>> DecodeRedo(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.U8() != kVersion) {
    return absl::DataLossError("the changes of a prepared branch are of another version");
  }
  std::vector<Redo> calls;
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && in.ok(); ++i) calls.push_back(DecodeCall(&in));
  if (!in.complete()) {
    return absl::DataLossError("the changes of a prepared branch are damaged");
  }
  return calls;
}

std::string EncodeLocks(const std::vector<LockWant>& locks) {
  ByteWriter out;
  out.U8(kVersion);
  out.Varint(locks.size());
  for (const LockWant& lock : locks) {
    out.U8(static_cast<uint8_t>(lock.mode));
    out.Bytes(lock.key);
  }
  return out.Take();
}

absl::StatusOr<std::vector<LockWant>> DecodeLocks(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.U8() != kVersion) {
    return absl::DataLossError("the locks of a prepared branch are of another version");
  }
  std::vector<LockWant> locks;
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const auto mode = static_cast<LockMode>(in.U8());
    locks.push_back({std::string(in.Bytes()), mode});
  }
  if (!in.complete()) {
    return absl::DataLossError("the locks of a prepared branch are damaged");
  }
  return locks;
}

}  // namespace concordat::participant::sqlite
