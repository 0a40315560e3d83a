// The generation of the file, and how an older copy of it is recognized.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class SqliteGenerationTest : public SqliteFixture {
 protected:
  absl::Status SetGeneration(uint64_t generation) {
    return Caller::Await<absl::Status>(
        [&](auto done) { rm_->SetGeneration(generation, std::move(done)); });
  }
  // Copies the file and its write-ahead file while no resource manager has them open.
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

TEST_F(SqliteGenerationTest, Generation_IsKeptInTheFile) {
  Open(kSchema);
  EXPECT_EQ(rm_->generation(), 0u);
  ASSERT_TRUE(SetGeneration(10).ok());
  ASSERT_TRUE(SetGeneration(20).ok());
  EXPECT_EQ(Query("SELECT value FROM concordat_meta WHERE name='generation'"), "20");
  Restart();
  EXPECT_EQ(rm_->generation(), 20u);
}

TEST_F(SqliteGenerationTest, Scenario29_Backup_HasTheGenerationOfItsTime) {
  Open(kSchema);
  ASSERT_TRUE(SetGeneration(10).ok());
  const std::string store = rm_->store_id();
  rm_.reset();
  Copy(path_, folder_.File("backup"));
  Open(kSchema);
  Commit("INSERT INTO t VALUES(1,'later')");
  ASSERT_TRUE(SetGeneration(20).ok());
  rm_.reset();
  Copy(folder_.File("backup"), path_);
  Open(kSchema);
  EXPECT_EQ(rm_->store_id(), store);
  EXPECT_EQ(rm_->generation(), 10u);
  // When an operator accepts it, it goes on from there.
  ASSERT_TRUE(SetGeneration(30).ok());
}

TEST_F(SqliteGenerationTest,
       Scenario29_GenerationThatWentBackInUse_IsToldAndNotWrittenOver) {
  Open(kSchema);
  ASSERT_TRUE(SetGeneration(20).ok());
  Query("UPDATE concordat_meta SET value='10' WHERE name='generation'");
  EXPECT_TRUE(absl::IsFailedPrecondition(SetGeneration(30)));
  EXPECT_EQ(Query("SELECT value FROM concordat_meta WHERE name='generation'"), "10");
}

// Writes would go into the file that has no name any more.
TEST_F(SqliteGenerationTest, Scenario29_FileReplacedInUse_IsTold) {
  Open(kSchema);
  ASSERT_TRUE(SetGeneration(20).ok());
  const std::string copy = folder_.File("copy");
  std::filesystem::copy_file(path_, copy);
  std::filesystem::rename(copy, path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(SetGeneration(30)));
}

TEST_F(SqliteGenerationTest, FileThatAnotherProgramHolds_GetsItsGenerationLater) {
  Open(kSchema);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE(absl::IsUnavailable(SetGeneration(10)));
  sqlite3_close(other);
  EXPECT_TRUE(SetGeneration(20).ok());
}

}  // namespace
}  // namespace concordat::participant
