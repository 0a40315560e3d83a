#include "tests/unit/mariadb/support.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/xid.h"

namespace concordat::participant {

namespace {

std::unique_ptr<testing::MariadbServer>& TheServer() {
  static std::unique_ptr<testing::MariadbServer> server;
  return server;
}

class EndOfServer : public ::testing::Environment {
 public:
  void TearDown() override { EndSharedServer(); }
};
[[maybe_unused]] ::testing::Environment* const end_of_server =
    ::testing::AddGlobalTestEnvironment(new EndOfServer);

int NextTest() {
  static int count = 0;
  return ++count;
}

}  // namespace

testing::MariadbServer& SharedServer() {
  if (TheServer() == nullptr) TheServer() = std::make_unique<testing::MariadbServer>();
  return *TheServer();
}

void EndSharedServer() { TheServer().reset(); }

MariadbTest::MariadbTest()
    : ManagerCalls(absl::StrCat("bank-", NextTest())), database_("test_" + Resource()) {
  UseServer(&SharedServer());
}

MariadbTest::~MariadbTest() {
  manager_.reset();
  if (server_->running()) {
    std::vector<std::string> left = Prepared();
    std::sort(left.begin(), left.end());
    std::sort(expected_left_.begin(), expected_left_.end());
    EXPECT_EQ(left, expected_left_);
    for (const std::string& xid : left) (void)TrySql("XA ROLLBACK " + xid);
  }
}

void MariadbTest::UseServer(testing::MariadbServer* server) {
  server_ = server;
  server_->Exec(absl::StrCat("CREATE DATABASE `", database_, "`"));
  Sql(MariadbInitSql());
  Sql("CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance "
      ">= 0));"
      "INSERT INTO account VALUES (1,100),(2,100),(3,100),(4,100),(5,100),(6,100),"
      "(7,100),(8,100),(9,100),(10,100)");
}

MariadbOptions MariadbTest::Options() const {
  MariadbOptions options;
  options.resource = Resource();
  options.max_connections = 8;
  options.settle_connections = 3;
  options.connection_wait = Duration::Seconds(2);
  options.start_patience = Duration::Seconds(10);
  options.max_back_off = Duration::Millis(200);
  return options;
}

absl::StatusOr<std::vector<BranchId>> MariadbTest::TryOpenAt(const std::string& url,
                                                             MariadbOptions options) {
  manager_.reset();
  manager_ = MakeMariadb(url, std::move(options));
  if (on_found_) {
    manager_->OnFound([this](std::vector<FoundBranch> f) { on_found_(std::move(f)); });
  }
  Serve(manager_.get());
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager_->Recover(kCluster, done.callback());
  return done.Get();
}

absl::StatusOr<std::vector<BranchId>> MariadbTest::TryOpen(MariadbOptions options) {
  return TryOpenAt(Url(), std::move(options));
}

void MariadbTest::Open(MariadbOptions options) {
  absl::StatusOr<std::vector<BranchId>> recovered = TryOpen(std::move(options));
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  recovered_ = *std::move(recovered);
}

void MariadbTest::OpenAt(const std::string& url) {
  const absl::Status status = TryOpenAt(url, Options()).status();
  ASSERT_TRUE(status.ok()) << status;
}

std::string MariadbTest::XidOf(const BranchId& branch) {
  return XidOf(MakeXid(kCluster, branch));
}

std::string MariadbTest::XidOf(const Xid& xid) {
  return absl::StrCat("X'", absl::BytesToHexString(xid.gtrid), "',X'",
                      absl::BytesToHexString(xid.bqual), "',", xid.format_id);
}

std::vector<std::string> MariadbTest::Prepared() {
  std::vector<std::string> ours;
  for (std::string& xid : server_->Column("XA RECOVER FORMAT='SQL'", database_, 3)) {
    if (xid.find(absl::BytesToHexString(Resource() + ".")) != xid.npos)
      ours.push_back(std::move(xid));
  }
  return ours;
}

std::string MariadbTest::EvidenceRows() {
  return Sql(absl::StrCat("SELECT COUNT(*) FROM concordat.branches WHERE resource='",
                          Resource(), "'"));
}

std::vector<std::string> MariadbTest::Sessions() {
  return server_->Column(
      absl::StrCat("SELECT id FROM information_schema.processlist WHERE db='", database_,
                   "' AND id<>CONNECTION_ID() ORDER BY id"));
}

std::string MariadbTest::WorkSession() {
  return Sql(
      absl::StrCat("SELECT p.id FROM information_schema.processlist p JOIN "
                   "information_schema.innodb_trx t ON t.trx_mysql_thread_id=p.id WHERE "
                   "p.db='",
                   database_, "'"));
}

void MariadbTest::KillAllSessions() {
  for (const std::string& id : Sessions()) KillSession(id);
}

}  // namespace concordat::participant
