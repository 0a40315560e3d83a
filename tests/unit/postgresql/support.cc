#include "tests/unit/postgresql/support.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"

namespace concordat::participant {

namespace {

std::unique_ptr<testing::PostgresqlServer>& TheServer() {
  static std::unique_ptr<testing::PostgresqlServer> server;
  return server;
}

class EndOfServer : public ::testing::Environment {
 public:
  void TearDown() override { EndSharedServer(); }
};
[[maybe_unused]] ::testing::Environment* const end_of_server =
    ::testing::AddGlobalTestEnvironment(new EndOfServer);

}  // namespace

bool Eventually(const std::function<bool()>& condition, double seconds) {
  const double end = testing::NowSeconds() + seconds;
  while (testing::NowSeconds() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

testing::PostgresqlServer& SharedServer() {
  if (TheServer() == nullptr) {
    TheServer() = std::make_unique<testing::PostgresqlServer>();
    // Each test's database is a copy of this one.
    TheServer()->Exec("CREATE DATABASE model");
    TheServer()->Exec(PostgresqlInitSql() +
                          "CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT "
                          "NULL CHECK (balance >= 0));"
                          "INSERT INTO account SELECT i, 100 FROM "
                          "generate_series(1,10) i",
                      "model");
  }
  return *TheServer();
}

void EndSharedServer() { TheServer().reset(); }

wire::Value Int(int64_t v) {
  wire::Value value;
  value.__set_integer(v);
  return value;
}
wire::Value Real(double v) {
  wire::Value value;
  value.__set_real(v);
  return value;
}
wire::Value Txt(std::string v) {
  wire::Value value;
  value.__set_text(std::move(v));
  return value;
}
wire::Value Blob(std::string v) {
  wire::Value value;
  value.__set_blob(std::move(v));
  return value;
}
wire::Value Null() { return {}; }

std::string Show(const wire::Value& value) {
  if (value.__isset.integer) return absl::StrCat(value.integer);
  if (value.__isset.real) return absl::StrCat(value.real);
  if (value.__isset.text) return absl::StrCat("'", value.text, "'");
  if (value.__isset.blob)
    return absl::StrCat("x'", absl::BytesToHexString(value.blob), "'");
  return "NULL";
}

std::string Show(const wire::SqlResult& result) {
  std::vector<std::string> rows;
  for (const wire::SqlRow& row : result.rows) {
    std::vector<std::string> values;
    for (const wire::Value& value : row.values) values.push_back(Show(value));
    rows.push_back(absl::StrJoin(values, ","));
  }
  return absl::StrJoin(rows, ";");
}

wire::SqlStatement Stmt(std::string sql, std::vector<wire::Value> parameters) {
  wire::SqlStatement statement;
  statement.sql = std::move(sql);
  if (!parameters.empty()) statement.__set_parameters(std::move(parameters));
  return statement;
}

PostgresqlTest::PostgresqlTest() : server_(&SharedServer()) {
  static int count = 0;
  database_ = absl::StrCat("test", ++count);
  server_->Exec(absl::StrCat("CREATE DATABASE ", database_, " TEMPLATE model"));
}

PostgresqlTest::~PostgresqlTest() {
  manager_.reset();
  if (!server_->running()) return;
  std::vector<std::string> left = Prepared();
  std::sort(left.begin(), left.end());
  std::sort(expected_left_.begin(), expected_left_.end());
  EXPECT_EQ(left, expected_left_);
  for (const std::string& gid : left) {
    (void)TrySql(absl::StrCat("ROLLBACK PREPARED '", gid, "'"));
  }
}

void PostgresqlTest::UseServer(testing::PostgresqlServer* server) {
  server_ = server;
  server_->Exec(absl::StrCat("CREATE DATABASE ", database_));
  Sql(PostgresqlInitSql());
  Sql("CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL);"
      "INSERT INTO account SELECT i, 100 FROM generate_series(1,10) i");
}

PostgresqlOptions PostgresqlTest::Options() const {
  PostgresqlOptions options;
  options.resource = kResource;
  options.max_connections = 8;
  options.settle_connections = 3;
  options.connection_wait = Duration::Seconds(2);
  options.start_patience = Duration::Seconds(10);
  options.max_back_off = Duration::Millis(200);
  return options;
}

absl::StatusOr<std::vector<BranchId>> PostgresqlTest::TryOpen(PostgresqlOptions options) {
  manager_.reset();
  incarnation_ = incarnation_.Next();
  number_ = 0;
  manager_ = std::make_unique<PostgresqlResourceManager>(Url(), std::move(options));
  if (on_found_ != nullptr) {
    manager_->OnFound([this](std::vector<FoundBranch> f) { on_found_(std::move(f)); });
  }
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager_->Recover(kCluster, done.callback());
  return done.Get();
}

void PostgresqlTest::Open(PostgresqlOptions options) {
  absl::StatusOr<std::vector<BranchId>> recovered = TryOpen(std::move(options));
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  recovered_ = *std::move(recovered);
}

void PostgresqlTest::OpenAt(const std::string& url) {
  incarnation_ = incarnation_.Next();
  number_ = 0;
  manager_ = std::make_unique<PostgresqlResourceManager>(url, Options());
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager_->Recover(kCluster, done.callback());
  const absl::Status status = done.Get().status();
  ASSERT_TRUE(status.ok()) << status;
}

BranchId PostgresqlTest::NextBranch() {
  return {{GroupId(1), Term(7), ++sequence_}, kResource, incarnation_, ++number_};
}

BranchId PostgresqlTest::Begin(std::string isolation) {
  const BranchId branch = NextBranch();
  StartOptions options;
  options.age = branch.gtid;
  options.isolation = std::move(isolation);
  const absl::Status status = manager_->Start(branch, options);
  EXPECT_TRUE(status.ok()) << status;
  return branch;
}

std::unique_ptr<Call> PostgresqlTest::ExecuteLater(
    const BranchId& branch, std::vector<wire::SqlStatement> statements) {
  auto call = std::make_unique<Call>();
  call->request.__set_sql(std::move(statements));
  manager_->Execute(branch, call->request, call->reply.callback());
  return call;
}

wire::ExecuteReply PostgresqlTest::Execute(const BranchId& branch,
                                           std::vector<wire::SqlStatement> statements) {
  return ExecuteLater(branch, std::move(statements))->reply.Get();
}

wire::ExecuteReply PostgresqlTest::Execute(const BranchId& branch, std::string sql,
                                           std::vector<wire::Value> parameters) {
  return Execute(branch, {Stmt(std::move(sql), std::move(parameters))});
}

std::string PostgresqlTest::Query(const BranchId& branch, std::string sql,
                                  std::vector<wire::Value> parameters) {
  const wire::ExecuteReply reply = Execute(branch, sql, std::move(parameters));
  EXPECT_EQ(reply.result.code, wire::Code::OK) << sql << ": " << reply.result.message;
  return reply.sql.empty() ? "" : Show(reply.sql.back());
}

BranchId PostgresqlTest::BeginAndRun(const std::string& sql) {
  const BranchId branch = Begin();
  Query(branch, sql);
  return branch;
}

BranchId PostgresqlTest::BeginAndPrepare(const std::string& sql) {
  const BranchId branch = BeginAndRun(sql);
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kPrepared) << result.detail;
  return branch;
}

PrepareResult PostgresqlTest::Prepare(const BranchId& branch) {
  manager_->End(branch);
  Later<PrepareResult> done;
  manager_->Prepare(branch, done.callback());
  return done.Get();
}
FinishResult PostgresqlTest::Commit(const BranchId& branch) {
  Later<FinishResult> done;
  manager_->Commit(branch, done.callback());
  return done.Get();
}
FinishResult PostgresqlTest::Rollback(const BranchId& branch) {
  Later<FinishResult> done;
  manager_->Rollback(branch, done.callback());
  return done.Get();
}
OnePhaseResult PostgresqlTest::CommitOnePhase(const BranchId& branch) {
  manager_->End(branch);
  Later<OnePhaseResult> done;
  manager_->CommitOnePhase(branch, done.callback());
  return done.Get();
}
Evidence PostgresqlTest::LookUp(const BranchId& branch) {
  Later<Evidence> done;
  manager_->LookUp(branch, done.callback());
  return done.Get();
}

std::vector<std::string> PostgresqlTest::Prepared() {
  return server_->Column(
      "SELECT gid FROM pg_prepared_xacts WHERE database=current_database() ORDER BY 1",
      database_);
}

std::string PostgresqlTest::WorkBackend() {
  return Sql(
      "SELECT pid FROM pg_stat_activity WHERE datname=current_database() AND "
      "application_name LIKE 'concordat%' AND xact_start IS NOT NULL");
}

void PostgresqlTest::TerminateAllBackends() {
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
      "datname=current_database() AND pid<>pg_backend_pid()");
}

}  // namespace concordat::participant
