// Threads that run calls which only read, each on a connection and a snapshot of its
// own, beside the writer: a long SELECT holds nobody up.
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
  // Stops what runs long, answers what is queued, then ends the threads.
  ~ReaderPool();

  [[nodiscard]] bool empty() const { return threads_.empty(); }
  // The request lives until `done` has been called; the call is stopped at the deadline.
  // Thread-safe.
  void Run(const BranchId& branch, const wire::ExecuteRequest* request,
           Timestamp deadline, Callback<wire::ExecuteReply> done);
  // The branch's call, if a thread runs it now, ends soon, with BRANCH_GONE. Thread-safe.
  void Stop(const BranchId& branch);

 private:
  struct Call {
    BranchId branch;
    const wire::ExecuteRequest* request;
    Timestamp deadline;
    Callback<wire::ExecuteReply> done;
  };
  // What one thread does now.
  struct Running {
    BranchId branch;  // guarded by mutex_
    std::atomic<bool> stop{false};
  };
  struct Reader {
    Running* running = nullptr;
    std::unique_ptr<Database> db;
    std::unique_ptr<StatementCheck> check;
    std::unique_ptr<SqlRunner> runner;
    int64_t seen_schema = -1;
  };
  ReaderPool() = default;
  void Loop(Reader reader);
  [[nodiscard]] static wire::ExecuteReply Read(Reader* reader, const Call& call);

  std::vector<std::unique_ptr<Running>> running_;  // one a thread
  std::vector<std::thread> threads_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Call> calls_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_READER_POOL_H_
