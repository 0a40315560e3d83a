#include "coordinator/txn/inheritance.h"

namespace concordat::txn {

size_t Inheritance::Advance(size_t limit, Timestamp now) {
  size_t count = 0;
  auto next = table_.live().upper_bound(last_);
  for (; count < limit && next != table_.live().end(); ++next, ++count) {
    Inherit(next->first, *next->second, now);
    last_ = next->first;
  }
  if (next == table_.live().end()) under_way_ = false;
  return count;
}

void Inheritance::Hurry(const Gtid& gtid, Timestamp now) {
  if (!under_way_ || gtid <= last_) return;
  const TransactionTable::Entry* entry = table_.FindLive(gtid);
  if (entry != nullptr) Inherit(gtid, *entry, now);
}

// What is in flight already was hurried, or is this leader's own.
void Inheritance::Inherit(const Gtid& gtid, const TransactionTable::Entry& entry,
                          Timestamp now) {
  if (!entry.staged && !entry.decided) return;
  if (protocol_.Find(gtid) == nullptr) protocol_.Inherit(gtid, entry, now);
}

}  // namespace concordat::txn
