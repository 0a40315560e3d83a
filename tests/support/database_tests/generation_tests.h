// Tests of a database's generation, by which an older copy of it is recognized: the
// server's data directory is put back, while nobody serves the database and while it is
// in use. They are the same for every database that has a two-phase commit itself. A
// database's test includes this file after its support.h, which defines DatabaseTest,
// TestedOptions and DatabaseServer.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_
#define TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

using ::testing::HasSubstr;

class GenerationTest : public DatabaseTest {
 protected:
  absl::Status SetGeneration(uint64_t generation) {
    Later<absl::Status> done;
    manager().SetGeneration(generation, done.callback());
    return done.Get();
  }
  // Selects this resource's row. Where Concordat's tables are the server's, there may be
  // rows of other tests.
  std::string GenerationRow() {
    return Sql("SELECT generation FROM concordat.generations WHERE resource='" +
               Options().resource + "'");
  }
};

TEST_F(GenerationTest, Generation_IsKeptInTheDatabase) {
  Sql("DELETE FROM concordat.generations");
  Open();
  EXPECT_EQ(manager().generation(), 0u);
  ASSERT_TRUE(SetGeneration(10).ok());
  ASSERT_TRUE(SetGeneration(20).ok());
  EXPECT_EQ(GenerationRow(), "20");
  Open();
  EXPECT_EQ(manager().generation(), 20u);
}

// The database may have a generation whose answer was lost. It is not an older copy then.
TEST_F(GenerationTest, GenerationBeyondTheLastKnown_IsAccepted) {
  Open();
  ASSERT_TRUE(SetGeneration(10).ok());
  Sql("UPDATE concordat.generations SET generation=15");
  EXPECT_TRUE(SetGeneration(20).ok());
}

TEST_F(GenerationTest, ServerNotReached_GetsItsGenerationLater) {
  DatabaseServer own;
  UseServer(&own);
  TestedOptions options = Options();
  options.connection_wait = Duration::Millis(200);
  Open(options);
  ASSERT_TRUE(SetGeneration(10).ok());
  own.Stop();
  EXPECT_TRUE(absl::IsUnavailable(SetGeneration(20)));
  // The text has the message of the server or of the system (trial 28).
  EXPECT_TRUE(Eventually([&] {
    return manager().unavailable().rfind("waiting for the database: ", 0) == 0;
  })) << manager().unavailable();
  own.Start();
  uint64_t generation = 30;
  EXPECT_TRUE(Eventually([&] { return SetGeneration(++generation).ok(); }));
  EXPECT_EQ(GenerationRow(), std::to_string(generation));
  EXPECT_TRUE(Eventually([&] { return manager().unavailable().empty(); }));
  UseServerAsItIs(&SharedServer());
}

TEST_F(GenerationTest, Scenario29_DataDirectoryFromABackup_HasTheGenerationOfItsTime) {
  DatabaseServer own;
  UseServer(&own);
  Open();
  ASSERT_TRUE(SetGeneration(10).ok());
  const std::string store = manager().store_id();
  Close();
  own.Stop();
  own.Backup();
  own.Start();
  Open();
  ASSERT_TRUE(SetGeneration(20).ok());
  Close();
  own.Stop();
  own.Restore();
  own.Start();
  Open();
  EXPECT_EQ(manager().store_id(), store) << "nothing else tells them apart";
  EXPECT_EQ(manager().generation(), 10u);
  ASSERT_TRUE(SetGeneration(30).ok());
  UseServerAsItIs(&SharedServer());
}

TEST_F(GenerationTest, Scenario29_DatabaseThatWentBackInUse_IsToldAndNotWritten) {
  DatabaseServer own;
  UseServer(&own);
  Open();
  ASSERT_TRUE(SetGeneration(10).ok());
  own.Stop();
  own.Backup();
  own.Start();
  uint64_t generation = 20;
  ASSERT_TRUE(Eventually([&] { return SetGeneration(++generation).ok(); }));
  own.Stop();
  own.Restore();
  own.Start();
  absl::Status status;
  ASSERT_TRUE(Eventually([&] {
    status = SetGeneration(++generation);
    return !absl::IsUnavailable(status);
  }));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("gone back in time"));
  EXPECT_EQ(GenerationRow(), "10");
  UseServerAsItIs(&SharedServer());
}

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_
