// Threads that run calls which only read, each on a connection and a snapshot of its own,
// in parallel to the writer. So a long SELECT delays no other call.
#ifndef PARTICIPANT_RESOURCES_SQLITE_READER_POOL_H_
#define PARTICIPANT_RESOURCES_SQLITE_READER_POOL_H_

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/sqlite/sql_runner.h"

namespace concordat::participant::sqlite {

class ReaderPool {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(
      const std::string& path, const SqliteOptions& options);
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;
  // Stops calls that run for long, answers those that are queued, then ends the threads.
  ~ReaderPool();

  [[nodiscard]] bool empty() const { return threads_.empty(); }
  // The request must be valid until `done` was called. The call is stopped at the
  // deadline. Thread-safe.
  void Run(const BranchId& branch, const wire::ExecuteRequest* request,
           Timestamp deadline, Callback<wire::ExecuteReply> done);
  // If a thread runs the branch's call now, the call ends soon with BRANCH_GONE.
  // Thread-safe.
  void Stop(const BranchId& branch);

 private:
  struct Call {
    BranchId branch;
    const wire::ExecuteRequest* request;
    Timestamp deadline;  // of the caller
    Callback<wire::ExecuteReply> done;
  };
  // The call that one thread runs now.
  struct Running {
    BranchId branch;                // none when idle; guarded by mutex_
    std::atomic<bool> stop{false};  // the call must end
  };
  struct Reader {
    Running* running = nullptr;  // in running_
    std::unique_ptr<Database> db;
    std::unique_ptr<StatementCheck> check;
    std::unique_ptr<SqlRunner> runner;
    int64_t seen_schema = -1;  // see Database::SchemaVersion
  };
  ReaderPool() = default;
  void Loop(Reader reader);
  [[nodiscard]] static wire::ExecuteReply Read(Reader* reader, const Call& call);

  std::vector<std::unique_ptr<Running>> running_;  // one for each thread
  std::vector<std::thread> threads_;
  Mutex mutex_;
  ConditionVariable changed_;  // signals threads: a call is queued, or closing_ is set
  std::deque<Call> calls_ ABSL_GUARDED_BY(mutex_);  // not begun
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;    // the destructor has begun
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_READER_POOL_H_
