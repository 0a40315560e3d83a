// A SQLite resource manager in a temporary folder, called synchronously.
//
//   Bank bank;  bank.Open("CREATE TABLE ...");
//   BranchId b = bank.Begin();  bank.Run(b, "UPDATE ...", {Int(1)});
//   EXPECT_EQ(bank.Prepare(b), Vote::kPrepared);
#ifndef TESTS_UNIT_SQLITE_SUPPORT_H_
#define TESTS_UNIT_SQLITE_SUPPORT_H_

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/sqlite/sqlite_resource_manager.h"
#include "tests/support/temp_dir.h"

namespace concordat::participant {

inline const ClusterId kCluster(0xc0ffee);

inline wire::Value Int(int64_t v) {
  wire::Value value;
  value.__set_integer(v);
  return value;
}
inline wire::Value Text(const std::string& v) {
  wire::Value value;
  value.__set_text(v);
  return value;
}
inline wire::Value Real(double v) {
  wire::Value value;
  value.__set_real(v);
  return value;
}
inline wire::Value Blob(const std::string& v) {
  wire::Value value;
  value.__set_blob(v);
  return value;
}

inline wire::SqlStatement Sql(const std::string& sql,
                              std::vector<wire::Value> parameters = {}) {
  wire::SqlStatement statement;
  statement.sql = sql;
  if (!parameters.empty()) statement.__set_parameters(parameters);
  return statement;
}

inline wire::ExecuteRequest Call(std::vector<wire::SqlStatement> statements) {
  wire::ExecuteRequest request;
  request.__set_sql(statements);
  return request;
}

inline BranchId MakeBranch(uint64_t sequence, uint64_t number = 1) {
  BranchId id;
  id.gtid = Gtid{GroupId(1), Term(1), sequence};
  id.resource = "bank";
  id.incarnation = Incarnation(7);
  id.number = number;
  return id;
}

// An Execute that has been sent and may not have been answered yet.
struct PendingCall {
  std::unique_ptr<wire::ExecuteRequest> request;
  std::future<wire::ExecuteReply> reply;

  [[nodiscard]] bool IsDone() const {
    return reply.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
  }
};

// Calls one resource manager and waits for each answer.
class Caller {
 public:
  explicit Caller(ResourceManager* rm) : rm_(rm) {}

  template <class T, class Function>
  static T Await(Function function) {
    std::promise<T> promise;
    std::future<T> future = promise.get_future();
    function(Callback<T>([&promise](T value) { promise.set_value(std::move(value)); }));
    return future.get();
  }

  PendingCall Send(const BranchId& id, std::vector<wire::SqlStatement> statements) {
    PendingCall call;
    call.request = std::make_unique<wire::ExecuteRequest>(Call(std::move(statements)));
    auto promise = std::make_shared<std::promise<wire::ExecuteReply>>();
    call.reply = promise->get_future();
    rm_->Execute(id, *call.request, [promise](wire::ExecuteReply reply) {
      promise->set_value(std::move(reply));
    });
    return call;
  }
  wire::ExecuteReply Execute(const BranchId& id,
                             std::vector<wire::SqlStatement> statements) {
    return Send(id, std::move(statements)).reply.get();
  }
  PrepareResult Prepare(const BranchId& id) {
    rm_->End(id);
    return Await<PrepareResult>([&](auto done) { rm_->Prepare(id, std::move(done)); });
  }
  FinishResult Commit(const BranchId& id) {
    return Await<FinishResult>([&](auto done) { rm_->Commit(id, std::move(done)); });
  }
  FinishResult Rollback(const BranchId& id) {
    return Await<FinishResult>([&](auto done) { rm_->Rollback(id, std::move(done)); });
  }
  OnePhaseResult CommitOnePhase(const BranchId& id) {
    rm_->End(id);
    return Await<OnePhaseResult>(
        [&](auto done) { rm_->CommitOnePhase(id, std::move(done)); });
  }
  Evidence LookUp(const BranchId& id) {
    return Await<Evidence>([&](auto done) { rm_->LookUp(id, std::move(done)); });
  }

 private:
  ResourceManager* rm_;
};

class SqliteFixture : public ::testing::Test {
 protected:
  void SetUp() override { path_ = folder_.File("bank.db"); }

  absl::StatusOr<std::vector<BranchId>> TryOpen(ClusterId cluster = kCluster) {
    rm_ = std::make_unique<SqliteResourceManager>(path_, options_);
    call_ = std::make_unique<Caller>(rm_.get());
    return Caller::Await<absl::StatusOr<std::vector<BranchId>>>(
        [&](auto done) { rm_->Recover(cluster, std::move(done)); });
  }
  std::vector<BranchId> Open(const std::string& schema = "") {
    if (!schema.empty()) options_.schema_sql = schema;
    auto prepared = TryOpen();
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return prepared.ok() ? *prepared : std::vector<BranchId>();
  }
  // Closes properly and opens again.
  std::vector<BranchId> Reopen() {
    rm_.reset();
    options_.schema_sql.clear();
    return Open();
  }
  // A smaller number is older.
  BranchId Begin(uint64_t sequence, const std::string& isolation = "") {
    const BranchId id = MakeBranch(sequence);
    StartOptions options;
    options.age = id.gtid;
    options.isolation = isolation;
    const absl::Status s = rm_->Start(id, options);
    EXPECT_TRUE(s.ok()) << s;
    return id;
  }
  BranchId Begin() { return Begin(next_++); }
  // Runs the statement and expects OK.
  std::vector<wire::SqlResult> Run(const BranchId& id, const std::string& sql,
                                   std::vector<wire::Value> parameters = {}) {
    wire::ExecuteReply reply = call_->Execute(id, {Sql(sql, std::move(parameters))});
    EXPECT_EQ(reply.result.code, wire::Code::OK) << sql << ": " << reply.result.message;
    return reply.sql;
  }
  // Runs the statement in a branch and commits it in two phases.
  void Commit(const std::string& sql, std::vector<wire::Value> parameters = {}) {
    const BranchId id = Begin();
    Run(id, sql, std::move(parameters));
    ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared) << sql;
    ASSERT_EQ(call_->Commit(id).state, FinishState::kDone) << sql;
  }
  wire::ExecuteReply Try(const BranchId& id, const std::string& sql,
                         std::vector<wire::Value> parameters = {}) {
    return call_->Execute(id, {Sql(sql, std::move(parameters))});
  }
  // What is committed in the file, read without the resource manager; rows are joined by
  // '|'.
  std::string Query(const std::string& sql) { return QueryFile(path_, sql); }

  static std::string QueryFile(const std::string& path, const std::string& sql) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    std::string out;
    char* error = nullptr;
    sqlite3_exec(
        db, sql.c_str(),
        [](void* to, int count, char** values, char**) {
          auto* text = static_cast<std::string*>(to);
          if (!text->empty()) *text += '|';
          for (int i = 0; i < count; ++i) {
            if (i > 0) *text += ',';
            *text += values[i] == nullptr ? "NULL" : values[i];
          }
          return 0;
        },
        &out, &error);
    EXPECT_EQ(error, nullptr) << error << " in " << sql;
    sqlite3_free(error);
    sqlite3_close(db);
    return out;
  }

  testing::TempDir folder_;
  std::string path_;
  SqliteOptions options_;
  std::unique_ptr<SqliteResourceManager> rm_;
  std::unique_ptr<Caller> call_;
  uint64_t next_ = 1000;
};

inline constexpr const char* kAccounts =
    "CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, balance INTEGER NOT "
    "NULL);"
    "INSERT OR IGNORE INTO account VALUES(1,100),(2,200),(3,300);";

}  // namespace concordat::participant

#endif  // TESTS_UNIT_SQLITE_SUPPORT_H_
