#include "coordinator/registry/table.h"

#include <utility>
#include <variant>

#include "coordinator/base/check.h"

namespace concordat::registry {

Effect ResourceTable::Apply(LogIndex index, const Record& record,
                            const ResourceUsers& users) {
  CONCORDAT_CHECK(index > last_applied_) << index << " after " << last_applied_;
  last_applied_ = index;
  hash_.Mix(index.value());
  hash_.Mix(EncodeRecord(record));
  const auto* resource = std::get_if<ResourceRecord>(&record);
  const Effect effect = resource != nullptr
                            ? Put(*resource)
                            : Retire(std::get<RetiredRecord>(record), users);
  hash_.Mix(static_cast<uint64_t>(effect));
  return effect;
}

Effect ResourceTable::Put(const ResourceRecord& record) {
  ResourceRecord wanted = record;
  wanted.replace_store = false;
  if (const ResourceRecord* known = Find(record.name)) {
    if (IsAnotherStore(*known, record)) return Effect::kOtherStore;
    if (IsOlderStore(*known, record)) return Effect::kOlderStore;
    if (*known == wanted) return Effect::kUnchanged;
  }
  ResourceRecord& known = resources_.Write(snapshots_)[record.name];
  known.generation = wanted.generation;
  if (known == wanted) return Effect::kGenerationGrown;
  known = std::move(wanted);
  return Effect::kRegistered;
}

Effect ResourceTable::Retire(const RetiredRecord& record, const ResourceUsers& users) {
  if (Find(record.name) == nullptr) return Effect::kUnchanged;
  if (users.UserOf(record.name)) return Effect::kInUse;
  resources_.Write(snapshots_).erase(record.name);
  return Effect::kRetired;
}

const ResourceRecord* ResourceTable::Find(const std::string& name) const {
  const auto known = resources_->find(name);
  return known == resources_->end() ? nullptr : &known->second;
}

}  // namespace concordat::registry
