// How far the file has come, and how an older copy of it shows.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class SqliteMarkTest : public SqliteFixture {
 protected:
  absl::Status SetMark(uint64_t mark) {
    return Caller::Await<absl::Status>(
        [&](auto done) { rm_->SetMark(mark, std::move(done)); });
  }
  // The file and its write-ahead file, of a closed resource manager.
  void Copy(const std::string& from, const std::string& to) {
    for (const char* part : {"", "-wal", "-shm"}) {
      std::filesystem::remove(to + part);
      if (!std::filesystem::exists(from + part)) continue;
      std::filesystem::copy_file(from + part, to + part);
    }
  }
  void Restart() {
    rm_.reset();
    Open();
  }
  const std::string kSchema = "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x)";
};

TEST_F(SqliteMarkTest, Mark_IsKeptInTheFile) {
  Open(kSchema);
  EXPECT_EQ(rm_->mark(), 0u);
  ASSERT_TRUE(SetMark(10).ok());
  ASSERT_TRUE(SetMark(20).ok());
  EXPECT_EQ(Query("SELECT value FROM concordat_meta WHERE name='mark'"), "20");
  Restart();
  EXPECT_EQ(rm_->mark(), 20u);
}

TEST_F(SqliteMarkTest, Scenario29_Backup_HasTheMarkOfItsTime) {
  Open(kSchema);
  ASSERT_TRUE(SetMark(10).ok());
  const std::string store = rm_->store_id();
  rm_.reset();
  Copy(path_, folder_.File("backup"));
  Open(kSchema);
  Commit("INSERT INTO t VALUES(1,'later')");
  ASSERT_TRUE(SetMark(20).ok());
  rm_.reset();
  Copy(folder_.File("backup"), path_);
  Open(kSchema);
  EXPECT_EQ(rm_->store_id(), store);
  EXPECT_EQ(rm_->mark(), 10u);
  // Accepted by a person, it goes on from there.
  ASSERT_TRUE(SetMark(30).ok());
}

TEST_F(SqliteMarkTest, Scenario29_MarkThatWentBackInUse_IsToldAndNotWrittenOver) {
  Open(kSchema);
  ASSERT_TRUE(SetMark(20).ok());
  Query("UPDATE concordat_meta SET value='10' WHERE name='mark'");
  EXPECT_TRUE(absl::IsFailedPrecondition(SetMark(30)));
  EXPECT_EQ(Query("SELECT value FROM concordat_meta WHERE name='mark'"), "10");
}

// Writes would go into the file that has no name any more.
TEST_F(SqliteMarkTest, Scenario29_FileReplacedInUse_IsTold) {
  Open(kSchema);
  ASSERT_TRUE(SetMark(20).ok());
  const std::string copy = folder_.File("copy");
  std::filesystem::copy_file(path_, copy);
  std::filesystem::rename(copy, path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(SetMark(30)));
}

TEST_F(SqliteMarkTest, FileThatAnotherProgramHolds_IsMarkedLater) {
  Open(kSchema);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE(absl::IsUnavailable(SetMark(10)));
  sqlite3_close(other);
  EXPECT_TRUE(SetMark(20).ok());
}

}  // namespace
}  // namespace concordat::participant
