#include "participant/resources/kv/store.h"

namespace concordat::participant::kv {

void Apply(const WriteSet& writes, uint64_t version, Rows* rows) {
  for (const auto& [key, value] : writes) {
    const auto it = rows->find(key);
    if (it != rows->end() && it->second.version >= version) continue;
    if (!value.has_value()) {
      if (it != rows->end()) rows->erase(it);
    } else if (it == rows->end()) {
      rows->emplace(key, Row{*value, version});
    } else {
      it->second = Row{*value, version};
    }
  }
}

}  // namespace concordat::participant::kv
