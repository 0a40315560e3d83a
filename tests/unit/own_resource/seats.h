// The example of docs/resource-managers.md: the seats of a theatre as a resource
// manager. The page quotes this file, so a change must be made in both.
//
//   Seats seats(PosixFileEnv(), {.dir = "/var/lib/seats"});
//
// A request is the text in the `opaque` field of an ExecuteRequest; the reply's `opaque`
// field holds the answer:
//   "book 12A"   "booked". CONDITION_FAILED: the seat is sold. CONFLICT: another branch
//                holds it (no branch ever waits, so there are no deadlocks)
//   "show 12A"   "free", "held" or "sold". Takes no lock, so the answer may be outdated
//
// The states of a branch:
//
//   active --Prepare--> (record queued) --flushed--> prepared --Commit, Rollback--> over
//     +----CommitOnePhase, Rollback------------------------------------------------> over
//
// The log is the only store: recovery rebuilds the tables in memory from its records. No
// part of it is ever released, so it grows without bound;
// participant/resources/kv/checkpoint.h shows how to avoid that with checkpoints.
#ifndef TESTS_UNIT_OWN_RESOURCE_SEATS_H_
#define TESTS_UNIT_OWN_RESOURCE_SEATS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/mutex.h"
#include "participant/sdk/resource_manager.h"
#include "wal/log_writer.h"

namespace concordat::participant {

// Thread-safe. Callbacks run on the calling thread or on the log's flushing thread.
class Seats final : public ResourceManager {
 public:
  // `log.owner` is set by Recover().
  Seats(FileEnv* env, wal::LogOptions log) : env_(env), options_(std::move(log)) {}
  ~Seats() override { Close(); }

  [[nodiscard]] std::string_view kind() const override { return "seats"; }
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

 private:
  // The records of the log. Each names a branch; the first and the third also list its
  // seats.
  enum class Record : uint8_t {
    kPrepared = 1,
    kCommitted = 2,  // a prepared branch; the record is its evidence
    kCommittedAlone = 3,
    kRolledBack = 4,  // a prepared branch
  };
  struct Branch {
    bool prepared = false;
    std::set<std::string> seats;
  };
  // A step to run once the record at `lsn` is durable.
  struct Waiting {
    wal::Lsn lsn;
    absl::AnyInvocable<void()> then;
  };

  absl::StatusOr<std::vector<BranchId>> Open(ClusterId cluster);
  absl::Status Replay(Record type, std::string_view payload)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  wire::ExecuteReply Work(const BranchId& branch, const std::string& text)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  wire::ExecuteReply Book(const BranchId& branch, const std::string& seat)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<wal::Lsn> Append(Record type, const BranchId& branch, wal::Reserve use)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnDurable(wal::Lsn lsn);
  // Both end a branch of `branches_`: Sell() marks its seats as sold, Free() releases
  // them.
  void Sell(const BranchId& branch, Evidence evidence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Free(const BranchId& branch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FileEnv* const env_;
  wal::LogOptions options_;
  std::unique_ptr<wal::LogWriter> log_;  // set by Recover, then never changed

  Mutex mutex_;
  std::set<std::string> sold_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, BranchId> held_ ABSL_GUARDED_BY(mutex_);  // seat -> holder
  std::map<BranchId, Branch> branches_ ABSL_GUARDED_BY(mutex_);
  std::map<BranchId, Evidence> evidence_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // ascending by lsn
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_OWN_RESOURCE_SEATS_H_
