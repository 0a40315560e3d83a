#include "tests/unit/postgresql/support.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

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

PostgresqlTest::PostgresqlTest() : ManagerCalls(kResource), server_(&SharedServer()) {
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
  for (const std::string& role : roles_) {
    Sql(absl::StrCat("DROP OWNED BY ", role, "; DROP ROLE ", role));
  }
}

void PostgresqlTest::UseServer(testing::PostgresqlServer* server) {
  server_ = server;
  server_->Exec(absl::StrCat("CREATE DATABASE ", database_));
  Sql(PostgresqlInitSql());
  Sql("CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL);"
      "INSERT INTO account SELECT i, 100 FROM generate_series(1,10) i");
}

DatabaseOptions PostgresqlTest::Options() const {
  DatabaseOptions options;
  options.resource = kResource;
  options.max_connections = 8;
  options.settle_connections = 3;
  options.connection_wait = Duration::Seconds(2);
  options.start_patience = Duration::Seconds(10);
  options.max_back_off = Duration::Millis(200);
  return options;
}

absl::StatusOr<std::vector<BranchId>> PostgresqlTest::TryOpenAt(const std::string& url,
                                                                DatabaseOptions options) {
  manager_.reset();
  manager_ = MakePostgresql(url, std::move(options));
  if (on_found_ != nullptr) {
    manager_->OnFound([this](std::vector<FoundBranch> f) { on_found_(std::move(f)); });
  }
  Serve(manager_.get());
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager_->Recover(kCluster, done.callback());
  return done.Get();
}

absl::StatusOr<std::vector<BranchId>> PostgresqlTest::TryOpen(DatabaseOptions options) {
  return TryOpenAt(Url(), std::move(options));
}

void PostgresqlTest::Open(DatabaseOptions options) {
  absl::StatusOr<std::vector<BranchId>> recovered = TryOpen(std::move(options));
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  recovered_ = *std::move(recovered);
}

void PostgresqlTest::OpenAt(const std::string& url) {
  const absl::Status status = TryOpenAt(url, Options()).status();
  ASSERT_TRUE(status.ok()) << status;
}

std::string PostgresqlTest::UrlOf(const std::string& role) {
  return absl::StrCat(Url(), Url().find('?') == std::string::npos ? "?" : "&",
                      "user=", role);
}

void PostgresqlTest::MakeRole(const std::string& role) {
  Sql(absl::StrCat("CREATE ROLE ", role, " LOGIN; GRANT ALL ON account TO ", role));
  roles_.push_back(role);
  const absl::Status status = RunPostgresqlInit(Url(), role);
  ASSERT_TRUE(status.ok()) << status;
}

void PostgresqlTest::OpenAs(const std::string& role) {
  MakeRole(role);
  DatabaseOptions options = Options();
  options.max_connections = 1;
  const absl::Status status = TryOpenAt(UrlOf(role), options).status();
  ASSERT_TRUE(status.ok()) << status;
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
