// TransactionTable: what the log-committed records add up to. Deterministic: every
// node that applied the same records has the same table, byte for byte.
//
//   TransactionTable table(GroupId(1));
//   Effect effect = table.Apply(index, record);   // what became true, or why not
//   table.StateOf(gtid);  table.FindLive(gtid);  table.FindSettled(gtid);
//
// States of one gtid. First STAGED and first DECIDED win; whatever comes later
// changes nothing.
//
//   kUnknown --ENLISTED--> kEnlisted --STAGED--> kStaged --DECIDED--> kDecided
//      |  \_______________STAGED________________^              ^         |
//      |                     |                                 |       ENDED
//      \_____________________\________DECIDED(abort)___________/         |
//                                                                        v
//   any that is not kStaged and not     --WATERMARK-->  kForgotten <-- kEnded
//   kDecided(commit)
//
// An aborted transaction without branches (a tombstone for an unknown gtid) is ended
// as soon as it is decided. Ended outcomes are kept, packed, until the watermark.
#ifndef COORDINATOR_TXN_TABLE_H_
#define COORDINATOR_TXN_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/copy_on_write.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/running_hash.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/txn/ended_outcomes.h"
#include "coordinator/txn/record.h"

namespace concordat::txn {

enum class TxnState : uint8_t {
  kUnknown,    // no record, and not below the watermark
  kEnlisted,   // branches, but nobody has asked to commit
  kStaged,     // undecided
  kDecided,    // not acknowledged by every branch
  kEnded,      // acknowledged by every branch
  kForgotten,  // below the watermark
};
[[nodiscard]] std::string_view ToString(TxnState state);

// Why a record changed nothing.
enum class Ignored : uint8_t {
  kNo,              // it did change something
  kBelowWatermark,  // the gtid is forgotten
  kAlreadyStaged,
  kAlreadyDecided,
  kAlreadyEnlisted,  // that branch is in the set
  kNotStaged,        // a commit of what was never staged
  kNotDecided,       // an end of what was never decided
  kForeignGroup,     // another Raft group's gtid
  kUnchanged,        // says what the table says
};
[[nodiscard]] std::string_view ToString(Ignored ignored);

struct StagedEffect {
  Gtid gtid;
  Ignored ignored = Ignored::kNo;
  bool committed = false;  // and decided: every branch of its set had voted PREPARED
};
struct DecidedEffect {
  Gtid gtid;
  Ignored ignored = Ignored::kNo;
};
struct EnlistedEffect {
  BranchId branch;
  Ignored ignored = Ignored::kNo;
};
struct EndedEffect {
  std::vector<Gtid> gtids;  // those that ended by this record
};
struct WatermarkEffect {
  Gtid watermark;  // as it stands now
  bool advanced = false;
};
struct HeuristicEffect {
  Ignored ignored = Ignored::kNo;
};
using Effect = std::variant<StagedEffect, DecidedEffect, EndedEffect, EnlistedEffect,
                            WatermarkEffect, HeuristicEffect>;

struct HeuristicEntry {
  Heuristic what = Heuristic::kHazard;
  std::string detail;
};

class TransactionTable {
 public:
  // A transaction that is not ended.
  struct Entry {
    bool staged = false;
    bool decided = false;
    // Enlisted so far; from STAGED on the fixed set, sorted.
    std::vector<BranchId> branches;
    uint64_t timeout_ms = 0;
    CommitMode mode = CommitMode::kDecided;
    // When decided:
    Outcome outcome = Outcome::kAborted;
    AbortCause cause = AbortCause::kNone;
    std::string detail;
    std::string by;
    std::vector<BranchId> read_only;  // of the set, sorted; they are not told

    [[nodiscard]] bool Contains(const BranchId& branch) const;
  };
  struct Settled {
    Outcome outcome = Outcome::kAborted;
    AbortCause cause = AbortCause::kNone;
    std::string detail;  // empty once ended
  };

  explicit TransactionTable(GroupId group);

  // Applies the log-committed record at `index`. Indexes grow, not necessarily by one
  // (checked): other entries of the log are not ours.
  Effect Apply(LogIndex index, const Record& record);

  [[nodiscard]] GroupId group() const { return group_; }
  [[nodiscard]] LogIndex last_applied() const { return last_applied_; }
  [[nodiscard]] TxnState StateOf(const Gtid& gtid) const;
  // Null unless the state is kEnlisted, kStaged or kDecided. Valid until Apply.
  [[nodiscard]] const Entry* FindLive(const Gtid& gtid) const;
  // The outcome, in the states kDecided and kEnded.
  [[nodiscard]] std::optional<Settled> FindSettled(const Gtid& gtid) const;
  // The branch belongs to the set of a committed transaction, decided or ended. Only
  // such a branch may ever be told COMMIT.
  [[nodiscard]] bool InCommittedSet(const BranchId& branch) const;

  // The last gtid that is forgotten; sequence 0 and term 0 at first.
  [[nodiscard]] const Gtid& watermark() const { return watermark_; }
  [[nodiscard]] bool IsForgotten(const Gtid& gtid) const { return gtid <= watermark_; }
  // A transaction that is not over, and has not aborted, with a branch at the resource.
  // None: nothing is known that needs it. Looks at all that are not over.
  [[nodiscard]] std::optional<Gtid> UserOf(std::string_view resource) const;
  // How far a WATERMARK(wanted) would get if it were applied now.
  [[nodiscard]] Gtid CapWatermark(const Gtid& wanted) const;

  // In the order of gtids.
  using Live = std::map<Gtid, CopyOnWrite<Entry>>;
  [[nodiscard]] const Live& live() const { return live_; }
  [[nodiscard]] const EndedOutcomes& ended() const { return ended_; }
  [[nodiscard]] const std::map<BranchId, HeuristicEntry>& heuristics() const {
    return heuristics_;
  }

  // A running digest of all that was applied and what became of it. Equal on every
  // node at the same index; carried along by snapshots. Constant time.
  [[nodiscard]] uint64_t Hash() const { return hash_.value(); }

  // What the table is now, in portions that are the same on every node at the same index.
  // Shares what is in it; TableRestore takes it up.
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot();

 private:
  class Source;
  friend class TableRestore;

  Effect Put(const StagedRecord& record);
  Effect Put(const DecidedRecord& record);
  Effect Put(const EndedRecord& record);
  Effect Put(const EnlistedRecord& record);
  Effect Put(const WatermarkRecord& record);
  Effect Put(const HeuristicRecord& record);
  // Why nothing may be recorded for the gtid any more; kNo if it may.
  [[nodiscard]] Ignored Closed(const Gtid& gtid) const;
  // To be changed; a new one if there is none.
  [[nodiscard]] Entry& Write(const Gtid& gtid) {
    return live_.try_emplace(gtid, Entry(), snapshots_).first->second.Write(snapshots_);
  }
  void End(Live::iterator entry);
  void Mix(uint64_t value) { hash_.Mix(value); }
  void Mix(const BranchId& branch);

  GroupId group_;
  LogIndex last_applied_;
  RunningHash hash_;
  Gtid watermark_;
  uint64_t snapshots_ = 0;  // taken
  Live live_;
  EndedOutcomes ended_;
  std::map<BranchId, HeuristicEntry> heuristics_;
};

// A table that is put together from a snapshot's portions, beside the one in use. Append
// and Finish are group::SnapshotRestore's, with INVALID_ARGUMENT for another group's.
class TableRestore {
 public:
  TableRestore(GroupId group, LogIndex at) : at_(at), table_(group) {}

  [[nodiscard]] absl::Status Append(std::string_view portion);
  [[nodiscard]] absl::Status Finish();
  // Whole after Finish.
  [[nodiscard]] TransactionTable& table() { return table_; }

 private:
  [[nodiscard]] bool Decode(ByteReader* in);
  [[nodiscard]] bool DecodeHead(ByteReader* in);
  [[nodiscard]] bool DecodeLive(ByteReader* in);
  [[nodiscard]] bool DecodeHeuristics(ByteReader* in);

  const LogIndex at_;
  TransactionTable table_;
  uint8_t section_ = 0;  // of the last portion
  bool has_head_ = false;
  // What there must be in the end.
  uint64_t live_count_ = 0;
  uint64_t ended_count_ = 0;
  uint64_t heuristics_count_ = 0;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_TABLE_H_
