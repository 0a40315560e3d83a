// The table's snapshot. Each portion has these bytes: version (1), last applied index,
// running hash (8), the number of all resources, and then some of the resources, each as
// the length and the bytes of a RESOURCE record. They are in the order of their names.
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/registry/table.h"

namespace concordat::registry {

namespace {

constexpr uint8_t kSnapshotVersion = 1;

class TableSource final : public group::SnapshotSource {
 public:
  using Resources = ResourceTable::Resources;
  TableSource(LogIndex last_applied, uint64_t hash,
              std::shared_ptr<const Resources> resources)
      : last_applied_(last_applied),
        hash_(hash),
        resources_(std::move(resources)),
        next_(resources_->begin()) {}

  std::optional<std::string> Next() override {
    if (begun_ && next_ == resources_->end()) return std::nullopt;
    begun_ = true;
    ByteWriter out;
    out.U8(kSnapshotVersion);
    out.Varint(last_applied_.value());
    out.U64(hash_);
    out.Varint(resources_->size());
    for (; next_ != resources_->end() && out.str().size() < group::kPortionBytes;
         ++next_) {
      out.Bytes(EncodeRecord(next_->second));
    }
    return out.Take();
  }

 private:
  const LogIndex last_applied_;
  const uint64_t hash_;
  const std::shared_ptr<const Resources> resources_;
  Resources::const_iterator next_;
  bool begun_ = false;  // a portion was returned: there is one even of an empty table
};

absl::Status Malformed(std::string_view portion) {
  return absl::DataLossError(absl::StrCat("portion of a registry snapshot, of ",
                                          portion.size(), " bytes, is malformed"));
}

}  // namespace

std::unique_ptr<group::SnapshotSource> ResourceTable::TakeSnapshot() {
  ++snapshots_;
  return std::make_unique<TableSource>(last_applied_, Hash(), resources_.Share());
}

absl::Status TableRestore::Append(std::string_view portion) {
  ByteReader in(portion);
  const uint8_t version = in.U8();
  if (in.ok() && version != kSnapshotVersion) {
    return absl::UnimplementedError(
        absl::StrCat("registry snapshot of version ", version, ": upgrade this node"));
  }
  const LogIndex last_applied(in.Varint());
  const RunningHash hash(in.U64());
  const uint64_t count = in.Varint();
  const bool same = !count_ || (last_applied == table_.last_applied_ &&
                                hash.value() == table_.Hash() && count == *count_);
  if (!in.ok() || !same) return Malformed(portion);
  table_.last_applied_ = last_applied;
  table_.hash_ = hash;
  count_ = count;
  while (!in.at_end()) {
    auto record = DecodeRecord(in.Bytes());
    if (!in.ok() || !record.ok()) return Malformed(portion);
    auto* resource = std::get_if<ResourceRecord>(&*record);
    if (resource == nullptr) return Malformed(portion);
    std::string name = resource->name;
    table_.resources_.Write(table_.snapshots_)
        .insert_or_assign(std::move(name), std::move(*resource));
  }
  return absl::OkStatus();
}

absl::Status TableRestore::Finish() {
  if (count_ != table_.resources().size()) {
    return absl::DataLossError("a registry snapshot is not complete");
  }
  if (table_.last_applied() > at_) {
    return absl::DataLossError(absl::StrCat("the registry snapshot at entry ",
                                            at_.value(), " holds the state after entry ",
                                            table_.last_applied().value()));
  }
  return absl::OkStatus();
}

}  // namespace concordat::registry
