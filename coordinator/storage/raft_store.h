// Raft's durable state of all groups of a node: terms, votes, entries, and which snapshot
// is in force. All groups share one write-ahead log, so that one flush serves all.
//
//   RaftStore store;
//   auto log = wal::LogWriter::Open(env, log_options, writer_options,
//       [&store](wal::Lsn lsn, uint8_t type, std::string_view payload) {
//         store.Replay(lsn, type, payload);
//       });
//   if (absl::Status s = store.FinishReplay(); !s.ok()) return s;
//   raft::RecoveredState recovered = store.TakeRecovered(group);
//   store.Attach(&sink);                               // which appends to *log
//   auto lsn = store.Persist(group, *output.persist);  // durable once the log is
//
// The store writes to the log through LogSink: a daemon uses the thread of
// wal::LogWriter, and the simulator the synchronous wal::Log on a disk that it can break.
// Not thread-safe: used only on the node's loop.
#ifndef COORDINATOR_STORAGE_RAFT_STORE_H_
#define COORDINATOR_STORAGE_RAFT_STORE_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/raft.h"
#include "wal/log.h"
#include "wal/log_writer.h"

namespace concordat::storage {

// The log to which records are appended. The numbers are the log's.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // As wal::LogWriter::Append. Returns the number of the last record.
  [[nodiscard]] virtual absl::StatusOr<wal::Lsn> Append(
      const std::vector<wal::Record>& records, wal::Reserve use) = 0;
  virtual void ReleaseBefore(wal::Lsn lsn) = 0;
  [[nodiscard]] virtual wal::Lsn durable_lsn() const = 0;
  [[nodiscard]] virtual bool HasSpace(wal::Reserve use) const = 0;
};

// Builds the groups' state from the records of a log, and afterwards keeps only what is
// needed to release old segments of it.
class RaftStore {
 public:
  // To be called for every record that the log replays, in order. Keeps the first error.
  void Replay(wal::Lsn lsn, uint8_t type, std::string_view payload);
  // After the replay: DATA_LOSS when a record did not decode or left a gap.
  [[nodiscard]] absl::Status FinishReplay() const { return replay_status_; }

  // The state with which a group must begin; empty for a group without records. Moves the
  // entries out, so it may be called once for each group.
  [[nodiscard]] raft::RecoveredState TakeRecovered(GroupId group);

  // From now on records are appended to `sink`, which must outlive all later calls.
  void Attach(LogSink* sink) { sink_ = sink; }

  // Appends one persist, using the log's reserve if necessary. It is durable when the log
  // is durable up to the number returned. After one of these errors nothing was written,
  // and the same persist must be tried again before any later one of the group:
  //   UNAVAILABLE         the log's queue is full
  //   RESOURCE_EXHAUSTED  the disk and the reserve are full
  // Any other failure ends the process (FatalIoError).
  [[nodiscard]] absl::StatusOr<wal::Lsn> Persist(GroupId group,
                                                 const raft::Persist& persist);

  // Releases segments that no group needs. Records of hard states and snapshots that
  // would be lost with them are appended again first, so a release takes two calls. To be
  // called from time to time, after more of the log has become durable.
  void Compact();

  // The group's snapshot that is in force by a durable record of the log. The files of
  // older ones may be removed. 0: there is none.
  [[nodiscard]] LogIndex DurableSnapshot(GroupId group) const;

  [[nodiscard]] bool HasSpaceForNewWork() const {
    return sink_->HasSpace(wal::Reserve::kNormal);
  }

 private:
  struct Group {
    raft::HardState hard_state;
    raft::SnapshotMeta snapshot;  // in force; see has_snapshot
    bool has_snapshot = false;
    std::vector<raft::Entry> entries;  // from the replay; empty after TakeRecovered
    // entry_lsns[i] is the log's record of the entry at first_index + i.
    LogIndex first_index{1};
    std::deque<wal::Lsn> entry_lsns;
    wal::Lsn hard_state_lsn;  // the latest record of the hard state; 0: none
    wal::Lsn snapshot_lsn;    // the latest record of a snapshot; 0: none
  };

  void Apply(Group* group, wal::Lsn lsn, const raft::HardState& state);
  absl::Status ApplyEntry(Group* group, wal::Lsn lsn, LogIndex index);
  void ApplySnapshot(Group* group, wal::Lsn lsn, const raft::SnapshotMeta& meta,
                     bool discard_log);
  absl::Status ReplayOne(wal::Lsn lsn, uint8_t type, std::string_view payload);
  [[nodiscard]] wal::Lsn OldestNeeded(const Group& group) const;
  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records);
  // Appends old records again. False: there was no room for all, so try again later.
  [[nodiscard]] bool RewriteOldState(wal::Lsn below);

  std::map<GroupId, Group> groups_;
  absl::Status replay_status_;  // the first error of the replay
  LogSink* sink_ = nullptr;     // null until Attach
  wal::Lsn last_lsn_;           // of the last record replayed or appended
  wal::Lsn released_;           // records before it were released
  // Records of hard states and snapshots before this one have been appended again.
  wal::Lsn rewritten_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_RAFT_STORE_H_
