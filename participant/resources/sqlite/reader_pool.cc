#include "participant/resources/sqlite/reader_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/sqlite/store.h"

namespace concordat::participant::sqlite {

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(
    const std::string& path, const SqliteOptions& options) {
  std::unique_ptr<ReaderPool> pool(new ReaderPool());
  std::vector<Reader> readers;
  for (uint32_t i = 0; i < options.reader_threads; ++i) {
    // Not SQLITE_OPEN_READONLY, because a reader of a WAL writes to the shared index.
    absl::StatusOr<std::unique_ptr<Database>> db =
        Database::Open(path, SQLITE_OPEN_READWRITE, options.vfs);
    if (!db.ok()) return db.status();
    absl::Status s = ConfigureConnection(db->get(), options);
    if (s.ok()) s = (*db)->Exec("PRAGMA query_only=ON");
    if (!s.ok()) return s;
    Reader reader;
    reader.db = *std::move(db);
    reader.check = std::make_unique<StatementCheck>(reader.db.get(), nullptr);
    reader.running = pool->running_.emplace_back(std::make_unique<Running>()).get();
    reader.runner = std::make_unique<SqlRunner>(
        reader.db.get(), reader.check.get(), options, [running = reader.running] {
          return running->stop.load(std::memory_order_relaxed);
        });
    readers.push_back(std::move(reader));
  }
  for (Reader& reader : readers) {
    pool->threads_.emplace_back(&ReaderPool::Loop, pool.get(), std::move(reader));
  }
  return pool;
}

ReaderPool::~ReaderPool() {
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    for (const auto& running : running_) running->stop.store(true);
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void ReaderPool::Run(const BranchId& branch, const wire::ExecuteRequest* request,
                     Timestamp deadline, Callback<wire::ExecuteReply> done) {
  MutexLock lock(&mutex_);
  calls_.push_back({branch, request, deadline, std::move(done)});
  changed_.NotifyOne();
}

void ReaderPool::Stop(const BranchId& branch) {
  MutexLock lock(&mutex_);
  for (const auto& running : running_) {
    if (running->branch == branch) running->stop.store(true);
  }
}

void ReaderPool::Loop(Reader reader) {
  for (;;) {
    Call call;
    {
      MutexLock lock(&mutex_);
      while (calls_.empty() && !closing_) changed_.Wait(&mutex_);
      if (calls_.empty()) break;
      call = std::move(calls_.front());
      calls_.pop_front();
      reader.running->branch = call.branch;
      reader.running->stop.store(closing_);
    }
    call.done(Read(&reader, call));
    MutexLock lock(&mutex_);
    reader.running->branch = BranchId();
  }
  reader.runner.reset();
  reader.check.reset();
}

wire::ExecuteReply ReaderPool::Read(Reader* reader, const Call& call) {
  const wire::ExecuteRequest& request = *call.request;
  wire::ExecuteReply reply;
  RunResult end;
  // The whole call has one snapshot.
  if (absl::Status s = reader->db->Exec("BEGIN"); !s.ok()) {
    end = {wire::Code::OVERLOADED, std::string(s.message()), false};
  }
  const int64_t schema = reader->db->SchemaVersion();
  if (std::exchange(reader->seen_schema, schema) != schema) {
    reader->db->ConnectVirtualTables();
  }
  reader->runner->StartCall(call.deadline);
  reply.sql.resize(request.sql.size());
  for (size_t i = 0; i < request.sql.size() && end.code == wire::Code::OK; ++i) {
    const UserStatement* statement = reader->runner->Get(request.sql[i].sql, &end);
    if (statement != nullptr) {
      end = reader->runner->Run(*statement, request.sql[i], &reply.sql[i]);
    }
    if (end.code != wire::Code::OK) {
      end.message = absl::StrCat("statement ", i + 1, ": ", end.message);
    }
  }
  reader->runner->EndCall();
  if (end.yielded) {
    end = {wire::Code::BRANCH_GONE, "the branch was rolled back, or the resource closed"};
  }
  if (reader->db->in_transaction()) (void)reader->db->Exec("ROLLBACK");
  reply.__isset.sql = end.code == wire::Code::OK;
  if (!reply.__isset.sql) reply.sql.clear();
  reply.result.code = end.code;
  if (!end.message.empty()) reply.result.__set_message(end.message);
  return reply;
}

}  // namespace concordat::participant::sqlite
