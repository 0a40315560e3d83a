// Rare paths, counted. A simulation that never meets a deposed leader's late message
// has shown nothing about it, so a campaign in which one of these stays at zero fails
// (TigerBeetle and FoundationDB do the same).
//
//   RarePaths counts;  counts.Add(Rare::kTornTailTruncated);  total.Merge(counts);
#ifndef TESTS_SIMULATION_RARE_PATHS_H_
#define TESTS_SIMULATION_RARE_PATHS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::simulation {

// The name, and what it counts.
#define CONCORDAT_RARE_PATHS(X)                                                        \
  X(kNodeKilled, "coordinator node killed")                                            \
  X(kNodePowerLost, "coordinator node lost power: unsynced bytes gone")                \
  X(kAllNodesDown, "all coordinator nodes down at once")                               \
  X(kNodePaused, "coordinator node stopped and resumed")                               \
  X(kLeaderPausedPastElection, "stopped leader resumed behind a newer leader")         \
  X(kClockFrozen, "a node's clock stood still")                                        \
  X(kClockJumped, "a node's clock jumped ahead")                                       \
  X(kClockDrifted, "a node's clock ran fast or slow")                                  \
  X(kSlowFlush, "a flush took longer than an election")                                \
  X(kTornTailTruncated, "torn tail of a log truncated at restart")                     \
  X(kPersistLostInPart, "crash kept a part of what was being written")                 \
  X(kPartition, "symmetric partition")                                                 \
  X(kOneWayPartition, "one-way partition")                                             \
  X(kLateAfterPartition, "packet held by a partition came after it healed")            \
  X(kPacketDuplicated, "packet came twice")                                            \
  X(kPacketReordered, "packet left its order")                                         \
  X(kPreVoteRefused, "pre-vote or vote refused for a live leader")                     \
  X(kVoteRefusedForLog, "vote refused: candidate's log is behind")                     \
  X(kVoteRefusedAlreadyVoted, "vote refused: already voted in the term")               \
  X(kSteppedDownWithoutQuorum, "leader stepped down, no quorum heard")                 \
  X(kSteppedDownForDisk, "leader stepped down for its own disk")                       \
  X(kSteppedDownForTerm, "leader stepped down for a higher term")                      \
  X(kLogTruncated, "follower's log truncated")                                         \
  X(kTruncatedPendingPersist, "entries overwritten while being flushed")               \
  X(kAppendRejected, "append rejected for a gap or another term")                      \
  X(kStaleRaftMessage, "raft message of an older term arrived")                        \
  X(kCommitCappedAtNewEntry, "commit index capped at the last new entry")              \
  X(kCommitHeldForOwnTerm, "old-term entry on a quorum not committed by counting")     \
  X(kInflightLimit, "pipelining limit reached")                                        \
  X(kSnapshotInstalled, "snapshot installed")                                          \
  X(kSnapshotChunkRepeated, "snapshot chunk came twice")                               \
  X(kSnapshotChunkEarly, "snapshot chunk overtook an earlier one")                     \
  X(kSnapshotKept, "older snapshot kept, as it was being sent")                        \
  X(kLogDiscardedForSnapshot, "log discarded for a snapshot")                          \
  X(kTailLost, "a disk lost the end of a log that it had flushed")                     \
  X(kTailFoundLost, "leader found that a follower lost its log's end")                 \
  X(kPeerWithoutSpace, "leader left a follower alone whose disk was full")             \
  X(kElectionByTransfer, "leadership handed over")                                     \
  X(kTransferFailed, "leadership not taken over in time")                              \
  X(kLogCompacted, "log compacted behind a snapshot")                                  \
  X(kLateVerbFromDeposed, "deposed leader's late PREPARE, COMMIT or ROLLBACK arrived") \
  X(kLatePrepareAfterCommit, "PREPARE arrived after the branch had committed")         \
  X(kAbortOvertakesPrepare, "ROLLBACK arrived before the PREPARE")                     \
  X(kPrepareTwice, "PREPARE of a branch that had voted PREPARED")                      \
  X(kCommitTwice, "COMMIT of a branch that had committed")                             \
  X(kReadOnlyVote, "READ_ONLY vote")                                                   \
  X(kReadOnlyRepeated, "READ_ONLY vote repeated")                                      \
  X(kReadOnlyForgotten, "PREPARE of a read-only branch of an earlier incarnation")     \
  X(kUnavailableVote, "UNAVAILABLE while recovering")                                  \
  X(kRefusedVote, "REFUSED vote")                                                      \
  X(kCommittedAloneVote, "COMMITTED_ALONE vote")                                       \
  X(kOnePhaseCommit, "one-phase commit at the RM")                                     \
  X(kOnePhaseAnswerRepeated, "one-phase commit asked again, evidence told the truth")  \
  X(kOnePhaseGivenUp, "one-phase commit asked again, branch had not committed")        \
  X(kParticipantKilled, "participant killed")                                          \
  X(kCrashBeforePrepareDurable, "participant died before a prepare was durable")       \
  X(kCrashAfterPrepare, "participant restarted with branches in doubt")                \
  X(kCrashBeforeCommitDurable, "participant died before a commit was durable")         \
  X(kCrashAfterCommit, "COMMIT acknowledged by evidence after a restart")              \
  X(kInquiryUnknownGtid, "inquiry about an unknown gtid: abort appended")              \
  X(kInquiryCommit, "inquiry answered COMMIT")                                         \
  X(kInquiryRollback, "inquiry answered ROLLBACK")                                     \
  X(kInquiryWait, "inquiry told to wait")                                              \
  X(kInquiryOutsideSet, "inquiry of a branch outside the decided set")                 \
  X(kInquiryEnlistedOnly, "inquiry about an enlisted, never staged gtid")              \
  X(kInquiryNotLeader, "inquiry refused by a follower or fresh leader")                \
  X(kVotedUnasked, "branch voted PREPARED with the answer to its work")                \
  X(kStagedDecided, "STAGED decided: all branches had voted unasked")                  \
  X(kOverdueWhilePreparing, "call overdue while it prepared, its vote held back")      \
  X(kEarlyAnswer, "mode parallel: answered before DECIDED")                            \
  X(kEarlyAnswerLeaderLost, "mode parallel: answered, leader lost before DECIDED")     \
  X(kEarlyAnswerHeldForReadOnly, "mode parallel: answer waited for a READ_ONLY vote")  \
  X(kTimeoutSuppressed, "inherited parallel transaction held past its deadline")       \
  X(kTimeoutAbort, "time-out abort")                                                   \
  X(kTimeoutRacesLastVote, "last vote arrived after a time-out abort was appended")    \
  X(kInherited, "new leader drove an inherited transaction")                           \
  X(kInheritedCommitted, "inherited transaction committed")                            \
  X(kInFlightLost, "packets of a killed process lost on the way")                      \
  X(kEnlisted, "branch enlisted by a service")                                         \
  X(kEnlistTooLate, "enlistment refused after STAGED or a decision")                   \
  X(kEnlistedInSet, "enlisted branch in a set whose commit request did not name it")   \
  X(kAttached, "repeated commit request attached")                                     \
  X(kRetryInOtherMode, "commit repeated in another mode")                              \
  X(kRetryWithOtherBranches, "commit repeated with other branches")                    \
  X(kBranchOutsideSet, "branch outside the decided set rolled back")                   \
  X(kRollbackRacedCommit, "rollback raced the client's own commit")                    \
  X(kRollbackTooLate, "rollback answered COMMITTED")                                   \
  X(kRollbackWon, "commit answered ABORTED for the client's rollback")                 \
  X(kRollbackUnknownGtid, "rollback of a gtid without a record")                       \
  X(kRetryAtOtherNode, "commit repeated at another node")                              \
  X(kDiskFull, "coordinator node's disk full")                                         \
  X(kOverloaded, "new work refused: too much in progress, or the disk full")           \
  X(kOtherVersion, "request of another version refused or sent on")                    \
  X(kBegunAndLeft, "leader stepped down, commit answered: begun, not known")           \
  X(kRefusedAfterBegun, "refusal of a request that an earlier attempt had begun")      \
  X(kNothingBegun, "client concluded that nothing was begun")                          \
  X(kClientGaveUp, "client gave up without an answer")                                 \
  X(kIdleRollback, "active branch of a vanished client rolled back")                   \
  X(kEndedRecord, "ENDED applied")                                                     \
  X(kRepeatedAfterEnded, "commit repeated after ENDED")                                \
  X(kWatermarkPassed, "watermark advanced")                                            \
  X(kForgottenAnswer, "FORGOTTEN answered")                                            \
  X(kNotStagedAnswer, "nobody has asked to commit it, a leader answered")              \
  X(kHeuristicRecorded, "heuristic outcome recorded")                                  \
  X(kCounterAdded, "another machine of the group answered a command")                  \
  X(kCounterRead, "another machine of the group answered a read")                      \
  X(kCounterUnknown, "leader stepped down, another machine's command not known")

enum class Rare : uint16_t {
#define CONCORDAT_RARE_NAME(name, text) name,
  CONCORDAT_RARE_PATHS(CONCORDAT_RARE_NAME)
#undef CONCORDAT_RARE_NAME
      kCount
};
inline constexpr size_t kRareCount = static_cast<size_t>(Rare::kCount);

[[nodiscard]] std::string_view Describe(Rare path);

class RarePaths {
 public:
  void Add(Rare path, uint64_t times = 1) { counts_[static_cast<size_t>(path)] += times; }
  [[nodiscard]] uint64_t Of(Rare path) const {
    return counts_[static_cast<size_t>(path)];
  }
  void Merge(const RarePaths& other);
  [[nodiscard]] std::vector<Rare> NeverReached() const;
  void Print(std::ostream& out) const;

 private:
  std::array<uint64_t, kRareCount> counts_{};
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_RARE_PATHS_H_
