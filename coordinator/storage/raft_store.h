// Raft's durable state (terms, votes, entries, which snapshot is in force) of all
// groups of a node, on one write-ahead log with one flush.
//
//   RaftStore store(env, dir);
//   absl::Status recovered = store.Open(open_sink);   // replays, then Group(id) tells
//   auto lsn = store.Persist(group, output.persist);  // durable when the log says so
//
// The log is reached through LogSink, so that a daemon uses the thread of
// wal::LogWriter and the simulator the synchronous wal::Log on a disk that it can
// break. Not thread-safe: owned by the node's loop.
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

// Where records are appended. The numbers are those of the log beneath.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // As wal::LogWriter::Append: the number of the last record.
  [[nodiscard]] virtual absl::StatusOr<wal::Lsn> Append(
      const std::vector<wal::Record>& records, wal::Reserve use) = 0;
  virtual void ReleaseBefore(wal::Lsn lsn) = 0;
  [[nodiscard]] virtual wal::Lsn durable_lsn() const = 0;
  [[nodiscard]] virtual bool HasSpace(wal::Reserve use) const = 0;
};

// Builds up the groups' state from the records of a log, in order, and then keeps
// the little that is needed to let old segments go.
class RaftStore {
 public:
  // Feed with every record that the log replays. Remembers the first error.
  void Replay(wal::Lsn lsn, uint8_t type, std::string_view payload);
  // After the replay: DATA_LOSS when a record did not decode or left a gap.
  [[nodiscard]] absl::Status FinishReplay() const { return replay_status_; }

  // What a group must begin with; a group that was never seen begins with nothing.
  // Moves the entries out: call once for each group.
  [[nodiscard]] raft::RecoveredState TakeRecovered(GroupId group);

  // From now on records go here. The sink must outlive this object's use.
  void Attach(LogSink* sink) { sink_ = sink; }

  // Appends one persist, from the log's reserve when need be. It is durable when the
  // log is, up to the number returned. Nothing was written, and the same persist is to
  // be tried again before any later one of the group:
  //   UNAVAILABLE         the log's queue is full
  //   RESOURCE_EXHAUSTED  so are the disk and the reserve
  // Any other failure ends the process (FatalIoError): nothing was promised for it.
  [[nodiscard]] absl::StatusOr<wal::Lsn> Persist(GroupId group,
                                                 const raft::Persist& persist);

  // Lets segments go that no group needs. What would be lost with them (hard state
  // and snapshot records) is appended again first, so it happens in two steps: call
  // it now and then, after the log became durable further.
  void Compact();

  // The group's snapshot that the log durably says is in force; older ones may go.
  [[nodiscard]] LogIndex DurableSnapshot(GroupId group) const;

  [[nodiscard]] bool HasSpaceForNewWork() const {
    return sink_->HasSpace(wal::Reserve::kNormal);
  }

 private:
  struct Group {
    raft::HardState hard_state;
    raft::SnapshotMeta snapshot;
    bool has_snapshot = false;
    std::vector<raft::Entry> entries;  // until TakeRecovered
    // The log's record of each entry, from first_index on.
    LogIndex first_index{1};
    std::deque<wal::Lsn> entry_lsns;
    wal::Lsn hard_state_lsn;
    wal::Lsn snapshot_lsn;
  };

  void Apply(Group* group, wal::Lsn lsn, const raft::HardState& state);
  absl::Status ApplyEntry(Group* group, wal::Lsn lsn, LogIndex index);
  void ApplySnapshot(Group* group, wal::Lsn lsn, const raft::SnapshotMeta& meta,
                     bool discard_log);
  absl::Status ReplayOne(wal::Lsn lsn, uint8_t type, std::string_view payload);
  [[nodiscard]] wal::Lsn OldestNeeded(const Group& group) const;
  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records);
  // False: there was no room for all; to be tried again.
  [[nodiscard]] bool RewriteOldState(wal::Lsn below);

  std::map<GroupId, Group> groups_;
  absl::Status replay_status_;
  LogSink* sink_ = nullptr;
  wal::Lsn last_lsn_;
  wal::Lsn released_;
  wal::Lsn rewritten_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_RAFT_STORE_H_
