// How far a database has come (its mark), and how an older copy of it shows: the server's
// data directory is put back, while nobody serves it and in use. The same for every
// database that prepares by itself. Included by the test of one, behind its support.h,
// which says what DatabaseTest, DatabaseOptions and DatabaseServer are.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_
#define TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

using ::testing::HasSubstr;

class MarkTest : public DatabaseTest {
 protected:
  absl::Status SetMark(uint64_t mark) {
    Later<absl::Status> done;
    manager().SetMark(mark, done.callback());
    return done.Get();
  }
  // Another test's may be there, where concordat's tables are the server's.
  std::string MarkRow() {
    return Sql("SELECT mark FROM concordat.marks WHERE resource='" + Options().resource +
               "'");
  }
};

TEST_F(MarkTest, Mark_IsKeptInTheDatabase) {
  Sql("DELETE FROM concordat.marks");
  Open();
  EXPECT_EQ(manager().mark(), 0u);
  ASSERT_TRUE(SetMark(10).ok());
  ASSERT_TRUE(SetMark(20).ok());
  EXPECT_EQ(MarkRow(), "20");
  Open();
  EXPECT_EQ(manager().mark(), 20u);
}

// One whose answer was lost may be there: that is no older copy.
TEST_F(MarkTest, MarkBeyondTheLastKnown_IsAccepted) {
  Open();
  ASSERT_TRUE(SetMark(10).ok());
  Sql("UPDATE concordat.marks SET mark=15");
  EXPECT_TRUE(SetMark(20).ok());
}

TEST_F(MarkTest, ServerNotReached_IsMarkedLater) {
  DatabaseServer own;
  UseServer(&own);
  DatabaseOptions options = Options();
  options.connection_wait = Duration::Millis(200);
  Open(options);
  ASSERT_TRUE(SetMark(10).ok());
  own.Stop();
  EXPECT_TRUE(absl::IsUnavailable(SetMark(20)));
  // In the server's, or the system's, own words (trial 28).
  EXPECT_TRUE(Eventually([&] {
    return manager().unavailable().rfind("waiting for the database: ", 0) == 0;
  })) << manager().unavailable();
  own.Start();
  uint64_t mark = 30;
  EXPECT_TRUE(Eventually([&] { return SetMark(++mark).ok(); }));
  EXPECT_EQ(MarkRow(), std::to_string(mark));
  EXPECT_TRUE(Eventually([&] { return manager().unavailable().empty(); }));
  UseServerAsItIs(&SharedServer());
}

TEST_F(MarkTest, Scenario29_DataDirectoryFromABackup_HasTheMarkOfItsTime) {
  DatabaseServer own;
  UseServer(&own);
  Open();
  ASSERT_TRUE(SetMark(10).ok());
  const std::string store = manager().store_id();
  Close();
  own.Stop();
  own.Backup();
  own.Start();
  Open();
  ASSERT_TRUE(SetMark(20).ok());
  Close();
  own.Stop();
  own.Restore();
  own.Start();
  Open();
  EXPECT_EQ(manager().store_id(), store) << "nothing else tells them apart";
  EXPECT_EQ(manager().mark(), 10u);
  ASSERT_TRUE(SetMark(30).ok());
  UseServerAsItIs(&SharedServer());
}

TEST_F(MarkTest, Scenario29_DatabaseThatWentBackInUse_IsToldAndNotWritten) {
  DatabaseServer own;
  UseServer(&own);
  Open();
  ASSERT_TRUE(SetMark(10).ok());
  own.Stop();
  own.Backup();
  own.Start();
  uint64_t mark = 20;
  ASSERT_TRUE(Eventually([&] { return SetMark(++mark).ok(); }));
  own.Stop();
  own.Restore();
  own.Start();
  absl::Status status;
  ASSERT_TRUE(Eventually([&] {
    status = SetMark(++mark);
    return !absl::IsUnavailable(status);
  }));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("gone back in time"));
  EXPECT_EQ(MarkRow(), "10");
  UseServerAsItIs(&SharedServer());
}

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_MARK_TESTS_H_
