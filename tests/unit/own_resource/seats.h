// The example of docs/resource-managers.md: the seats of a theatre as a resource
// manager. The page quotes this file; keep both alike.
//
//   Seats seats(PosixFileEnv(), {.dir = "/var/lib/seats"});
//
// Work is the `opaque` field of an ExecuteRequest, and so is what comes back:
//   "book 12A"   "booked". CONDITION_FAILED: it is sold. CONFLICT: another branch holds
//                it (who comes second loses, so nobody waits and no deadlock lives)
//   "show 12A"   "free", "held" or "sold". Locks nothing, and may change right after
//
// A branch:
//
//   active --Prepare--> (record queued) --flushed--> prepared --Commit, Rollback--> over
//     +----CommitOnePhase, Rollback------------------------------------------------> over
//
// The log is the store: its records make the tables in memory again. Nothing is ever
// released from it, so it grows for ever; participant/resources/kv/checkpoint.h shows how
// not to.
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

// Thread-safe. Callbacks come on the calling thread or on the one that flushed.
class Seats final : public ResourceManager {
 public:
  // `log.owner` is filled in.
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
  // In the log, each with a branch; the first and the third with its seats, too.
  enum class Record : uint8_t {
    kPrepared = 1,
    kCommitted = 2,  // of a prepared branch; is its evidence
    kCommittedAlone = 3,
    kRolledBack = 4,  // of a prepared branch
  };
  struct Branch {
    bool prepared = false;
    std::set<std::string> seats;
  };
  // To be done when a record is durable.
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
  // Ends a branch that is there: its seats are sold, or free again.
  void Sell(const BranchId& branch, Evidence evidence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Free(const BranchId& branch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FileEnv* const env_;
  wal::LogOptions options_;
  std::unique_ptr<wal::LogWriter> log_;  // set by Recover, then never changed

  Mutex mutex_;
  std::set<std::string> sold_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, BranchId> held_ ABSL_GUARDED_BY(mutex_);  // the locks
  std::map<BranchId, Branch> branches_ ABSL_GUARDED_BY(mutex_);
  std::map<BranchId, Evidence> evidence_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // by lsn
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_OWN_RESOURCE_SEATS_H_
