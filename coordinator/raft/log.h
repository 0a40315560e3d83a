// The replicated log in memory: the entries after a base, which is the last entry
// that was dropped behind a snapshot. Index and term of the base are kept, so that
// the entry after it can be matched (section 7 of the paper).
//
//   base (index 40, term 3) | 41 42 43 ... last
//
// Knows nothing of disks, commit or roles. Every operation is O(1) for an entry,
// but for the search by term, which is binary.
#ifndef COORDINATOR_RAFT_LOG_H_
#define COORDINATOR_RAFT_LOG_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

// What an entry counts for besides its data where bytes are bounded, so that many empty
// ones are bounded too.
inline constexpr size_t kEntryOverheadBytes = 64;

class Log {
 public:
  // Empty, with the given base: 0 and 0 for a new group.
  Log() = default;
  Log(LogIndex base_index, Term base_term)
      : base_index_(base_index), base_term_(base_term) {}

  [[nodiscard]] LogIndex base_index() const { return base_index_; }
  [[nodiscard]] LogIndex first_index() const { return base_index_.Next(); }
  // The base's, when there are no entries.
  [[nodiscard]] LogIndex last_index() const {
    return LogIndex(base_index_.value() + entries_.size());
  }
  [[nodiscard]] Term last_term() const {
    return entries_.empty() ? base_term_ : entries_.back().term;
  }
  // Whether the entry itself is here.
  [[nodiscard]] bool Has(LogIndex index) const {
    return index > base_index_ && index <= last_index();
  }
  // Of all entries here, each counted for its data and kEntryOverheadBytes.
  [[nodiscard]] size_t bytes() const {
    return data_bytes_ + entries_.size() * kEntryOverheadBytes;
  }
  // `index` must be in [first_index, last_index].
  [[nodiscard]] const Entry& At(LogIndex index) const;
  // Nothing outside of [base_index, last_index].
  [[nodiscard]] std::optional<Term> TermAt(LogIndex index) const;
  // Whether there is an entry, or the base, of this term at this index.
  [[nodiscard]] bool Matches(LogIndex index, Term term) const {
    return TermAt(index) == term;
  }

  // Copies of the entries first..last, both included and both here; as many as fit
  // into max_bytes, each counted for its data and `overhead`, but at least one.
  [[nodiscard]] std::vector<Entry> Slice(LogIndex first, LogIndex last, size_t max_bytes,
                                         size_t overhead = 0) const;
  // The last index not after `index` whose term is at most `term`; terms only grow
  // along a log. base_index - 1, or 0, when even the base's term is greater.
  [[nodiscard]] LogIndex LastWithTermAtMost(LogIndex index, Term term) const;

  // Must be the next index, of no smaller a term than the last.
  void Append(Entry entry);
  // Drops this entry and all behind it.
  void TruncateFrom(LogIndex index);
  // Drops all entries up to and including `index`, which becomes the base.
  void CompactTo(LogIndex index);

 private:
  LogIndex base_index_;
  Term base_term_;
  std::deque<Entry> entries_;
  size_t data_bytes_ = 0;  // of entries_
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_LOG_H_
