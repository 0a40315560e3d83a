// A PostgreSQL server for all tests of the program, a database for each test, and calls
// that wait for their answers.
#ifndef TESTS_UNIT_POSTGRESQL_SUPPORT_H_
#define TESTS_UNIT_POSTGRESQL_SUPPORT_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/mutex.h"
#include "participant/postgresql/postgresql_resource_manager.h"
#include "tests/support/postgresql_server.h"

namespace concordat::participant {

// A value that another thread delivers.
template <class T>
class Later {
 public:
  Callback<T> callback() {
    return [state = state_](T value) {
      MutexLock lock(&state->mutex);
      EXPECT_FALSE(state->value.has_value()) << "called back twice";
      state->value = std::move(value);
      state->changed.NotifyAll();
    };
  }
  [[nodiscard]] bool WaitFor(Duration time) const {
    MutexLock lock(&state_->mutex);
    if (!state_->value.has_value()) state_->changed.WaitFor(&state_->mutex, time);
    return state_->value.has_value();
  }
  T Get() {
    for (int i = 0; i < 600 && !WaitFor(Duration::Millis(50)); ++i) {
    }
    MutexLock lock(&state_->mutex);
    CONCORDAT_CHECK(state_->value.has_value()) << "no answer came";
    return std::move(*state_->value);
  }

 private:
  struct State {
    Mutex mutex;
    ConditionVariable changed;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

bool Eventually(const std::function<bool()>& condition, double seconds = 10);

// The one server, started when it is first asked for.
testing::PostgresqlServer& SharedServer();
// Ends it, when it was started.
void EndSharedServer();

wire::Value Int(int64_t v);
wire::Value Real(double v);
wire::Value Txt(std::string v);
wire::Value Blob(std::string v);
wire::Value Null();
// For people: "1", "2.5", "'text'", "x'6162'", "NULL".
std::string Show(const wire::Value& value);
// Rows as "1,'a';2,'b'".
std::string Show(const wire::SqlResult& result);

// A request that lives as long as its call.
struct Call {
  wire::ExecuteRequest request;
  Later<wire::ExecuteReply> reply;
};

class PostgresqlTest : public ::testing::Test {
 protected:
  static constexpr ClusterId kCluster{0xC0FFEE00};
  static constexpr char kResource[] = "bank-a";

  PostgresqlTest();
  // No prepared transaction may be left that the test has not named.
  ~PostgresqlTest() override;

  // A test with a server of its own.
  void UseServer(testing::PostgresqlServer* server);
  // Back to one that has the test's database.
  void UseServerAsItIs(testing::PostgresqlServer* server) {
    Close();
    server_ = server;
  }
  [[nodiscard]] testing::PostgresqlServer& server() { return *server_; }
  [[nodiscard]] const std::string& Database() const { return database_; }
  [[nodiscard]] std::string Url() { return server_->Url(database_); }
  std::string Sql(const std::string& sql) { return server_->Exec(sql, database_); }
  std::string TrySql(const std::string& sql) { return server_->TryExec(sql, database_); }

  [[nodiscard]] PostgresqlOptions Options() const;
  // A new manager, as after a restart of its process (a new incarnation).
  void Open() { Open(Options()); }
  void Open(PostgresqlOptions options);
  // At another address of the same database.
  void OpenAt(const std::string& url);
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> TryOpen(PostgresqlOptions options);
  void Close() { manager_.reset(); }
  [[nodiscard]] PostgresqlResourceManager& manager() { return *manager_; }

  [[nodiscard]] BranchId NextBranch();
  [[nodiscard]] BranchId Begin(std::string isolation = "");
  std::unique_ptr<Call> ExecuteLater(const BranchId& branch,
                                     std::vector<wire::SqlStatement> statements);
  wire::ExecuteReply Execute(const BranchId& branch,
                             std::vector<wire::SqlStatement> statements);
  wire::ExecuteReply Execute(const BranchId& branch, std::string sql,
                             std::vector<wire::Value> parameters = {});
  // Executes, and expects it to go well; the rows.
  std::string Query(const BranchId& branch, std::string sql,
                    std::vector<wire::Value> parameters = {});
  [[nodiscard]] BranchId BeginAndRun(const std::string& sql);
  [[nodiscard]] BranchId BeginAndPrepare(const std::string& sql);
  PrepareResult Prepare(const BranchId& branch);
  FinishResult Commit(const BranchId& branch);
  FinishResult Rollback(const BranchId& branch);
  OnePhaseResult CommitOnePhase(const BranchId& branch);
  Evidence LookUp(const BranchId& branch);

  [[nodiscard]] static std::string Gid(const BranchId& branch) {
    return XidText(MakeXid(kCluster, branch));
  }
  // Prepared transactions in the test's database.
  [[nodiscard]] std::vector<std::string> Prepared();
  [[nodiscard]] std::string EvidenceRows() {
    return Sql("SELECT count(*) FROM concordat.branches");
  }
  // The server's backend that works for the branch with this many open transactions.
  [[nodiscard]] std::string WorkBackend();
  void TerminateAllBackends();

  // Gids that may be left when the test ends; they are rolled back.
  std::vector<std::string> expected_left_;
  std::vector<BranchId> recovered_;
  // What managers opened from now on report (OnFound). Null: nobody listens.
  FoundCallback on_found_;

 private:
  testing::PostgresqlServer* server_ = nullptr;
  std::string database_;
  std::unique_ptr<PostgresqlResourceManager> manager_;
  Incarnation incarnation_{0x5f00};
  uint64_t number_ = 0;
  uint64_t sequence_ = 0;
};

wire::SqlStatement Stmt(std::string sql, std::vector<wire::Value> parameters = {});

}  // namespace concordat::participant

#endif  // TESTS_UNIT_POSTGRESQL_SUPPORT_H_
