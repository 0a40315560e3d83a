// The replicated log in memory: the entries after a base. The base is the last entry that
// was dropped because a snapshot contains it. Its index and term are kept, so that the
// entry after it can be matched (section 7 of the paper).
//
//   base (index 40, term 3) | 41 42 43 ... last
//
// The class knows nothing of disks, commit or roles. Every operation costs O(1) for an
// entry, except the search by term, which is binary.
#ifndef COORDINATOR_RAFT_LOG_H_
#define COORDINATOR_RAFT_LOG_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

// What an entry counts for in addition to its data wherever bytes are limited, so that
// many empty entries are limited too.
inline constexpr size_t kEntryOverheadBytes = 64;

// What an entry counts for wherever bytes are limited.
[[nodiscard]] inline size_t EntryCost(const Entry& entry) {
  return entry.data.size() + kEntryOverheadBytes;
}

class Log {
 public:
  // An empty log with the given base; index 0 and term 0 for a new group.
  Log() = default;
  Log(LogIndex base_index, Term base_term)
      : base_index_(base_index), base_term_(base_term) {}

  [[nodiscard]] LogIndex base_index() const { return base_index_; }
  [[nodiscard]] LogIndex first_index() const { return base_index_.Next(); }
  // The index of the base when there are no entries.
  [[nodiscard]] LogIndex last_index() const {
    return LogIndex(base_index_.value() + entries_.size());
  }
  [[nodiscard]] Term last_term() const {
    return entries_.empty() ? base_term_ : entries_.back().term;
  }
  // Whether the log holds the entry itself. False for the base.
  [[nodiscard]] bool Has(LogIndex index) const {
    return index > base_index_ && index <= last_index();
  }
  // The size of all entries, each with its data and kEntryOverheadBytes.
  [[nodiscard]] size_t bytes() const {
    return data_bytes_ + entries_.size() * kEntryOverheadBytes;
  }
  // `index` must be in [first_index, last_index].
  [[nodiscard]] const Entry& At(LogIndex index) const;
  // nullopt outside of [base_index, last_index].
  [[nodiscard]] std::optional<Term> TermAt(LogIndex index) const;
  // Whether there is an entry, or the base, of this term at this index.
  [[nodiscard]] bool Matches(LogIndex index, Term term) const {
    return TermAt(index) == term;
  }

  // Copies of the entries from `first` to `last`, both of which are included and must be
  // in the log: as many as fit into max_bytes, but at least one. Each counts for its data
  // and `overhead`.
  [[nodiscard]] std::vector<Entry> Slice(LogIndex first, LogIndex last, size_t max_bytes,
                                         size_t overhead = 0) const;
  // The last index up to `index` whose term is at most `term` (terms never decrease along
  // a log). When even the base's term is greater, base_index - 1, but not below 0.
  [[nodiscard]] LogIndex LastWithTermAtMost(LogIndex index, Term term) const;

  // The entry must have the next index, and a term not below the last entry's.
  void Append(Entry entry);
  // Drops the entry at `index` and all after it.
  void TruncateFrom(LogIndex index);
  // Drops all entries up to and including `index`, which becomes the base.
  void CompactTo(LogIndex index);

 private:
  LogIndex base_index_;
  Term base_term_;
  std::deque<Entry> entries_;  // entries_[i] has the index base_index_ + 1 + i
  size_t data_bytes_ = 0;      // data of all of entries_, without overhead
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_LOG_H_
