#include "coordinator/raft/log.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat::raft {

const Entry& Log::At(LogIndex index) const {
  CONCORDAT_CHECK(Has(index)) << "no entry " << index << " in " << base_index_ << ".."
                              << last_index();
  return entries_[index.value() - base_index_.value() - 1];
}

std::optional<Term> Log::TermAt(LogIndex index) const {
  if (index == base_index_) return base_term_;
  if (!Has(index)) return std::nullopt;
  return At(index).term;
}

std::vector<Entry> Log::Slice(LogIndex first, LogIndex last, size_t max_bytes,
                              size_t overhead) const {
  std::vector<Entry> slice;
  if (first > last) return slice;
  CONCORDAT_CHECK(Has(first) && Has(last)) << "slice outside of the log";
  size_t bytes = 0;
  size_t count = 0;
  const size_t start = first.value() - first_index().value();
  const size_t limit = last.value() - first.value() + 1;
  while (count < limit) {
    bytes += entries_[start + count].data.size() + overhead;
    if (count > 0 && bytes > max_bytes) break;
    ++count;
  }
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(start);
  slice.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  return slice;
}

LogIndex Log::LastWithTermAtMost(LogIndex index, Term term) const {
  if (index < base_index_) return index;
  const auto end =
      entries_.begin() + static_cast<std::ptrdiff_t>(
                             std::min(index, last_index()).value() - base_index_.value());
  const auto after = std::upper_bound(
      entries_.begin(), end, term,
      [](Term wanted, const Entry& entry) { return wanted < entry.term; });
  if (after == entries_.begin() && base_term_ > term) return base_index_.Previous();
  return LogIndex(base_index_.value() + static_cast<uint64_t>(after - entries_.begin()));
}

void Log::Append(Entry entry) {
  CONCORDAT_CHECK(entry.index == last_index().Next())
      << "entry " << entry.index << " after " << last_index();
  CONCORDAT_CHECK(entry.term >= last_term())
      << "term " << entry.term << " after " << last_term();
  data_bytes_ += entry.data.size();
  entries_.push_back(std::move(entry));
}

void Log::TruncateFrom(LogIndex index) {
  CONCORDAT_CHECK(Has(index)) << "truncation at " << index << " outside of the log";
  const size_t keep = index.value() - base_index_.value() - 1;
  for (size_t i = keep; i < entries_.size(); ++i) data_bytes_ -= entries_[i].data.size();
  entries_.resize(keep);
}

void Log::CompactTo(LogIndex index) {
  if (index <= base_index_) return;
  CONCORDAT_CHECK(Has(index)) << "compaction at " << index << " outside of the log";
  base_term_ = At(index).term;
  const auto end =
      entries_.begin() + static_cast<std::ptrdiff_t>(index.value() - base_index_.value());
  for (auto it = entries_.begin(); it != end; ++it) data_bytes_ -= it->data.size();
  entries_.erase(entries_.begin(), end);
  base_index_ = index;
}

}  // namespace concordat::raft
