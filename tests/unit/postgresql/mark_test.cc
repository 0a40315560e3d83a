// How far the database has come, and how an older copy of it shows: the server's data
// directory is put back, while nobody serves it and in use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;

class PostgresqlMarkTest : public PostgresqlTest {
 protected:
  absl::Status SetMark(uint64_t mark) {
    Later<absl::Status> done;
    manager().SetMark(mark, done.callback());
    return done.Get();
  }
  std::string MarkRow() { return Sql("SELECT mark FROM concordat.marks"); }
};

TEST_F(PostgresqlMarkTest, Mark_IsKeptInTheDatabase) {
  Open();
  EXPECT_EQ(manager().mark(), 0u);
  ASSERT_TRUE(SetMark(10).ok());
  ASSERT_TRUE(SetMark(20).ok());
  EXPECT_EQ(MarkRow(), "20");
  Open();
  EXPECT_EQ(manager().mark(), 20u);
}

TEST_F(PostgresqlMarkTest, NoTable_NamesTheCommandAndWrongRightsTheGrant) {
  Sql("DROP TABLE concordat.marks");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("the table concordat.marks is not there: make it with "
                        "\"concordat rm init URL\""));
  ASSERT_TRUE(RunPostgresqlInit(Url()).ok());
  Sql("CREATE ROLE marker LOGIN; GRANT USAGE ON SCHEMA concordat TO marker;"
      "GRANT SELECT, INSERT, DELETE ON concordat.branches TO marker");
  std::string url = Url();
  url.replace(url.find("postgres@"), 9, "marker@");
  EXPECT_THAT(std::string(TryOpenAt(url, Options()).status().message()),
              HasSubstr("GRANT SELECT, INSERT, UPDATE ON concordat.marks TO marker"));
  Close();
  Sql("DROP OWNED BY marker; DROP ROLE marker; ALTER TABLE concordat.marks SET UNLOGGED");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("ALTER TABLE concordat.marks SET LOGGED"));
}

// One whose answer was lost may be there: that is no older copy.
TEST_F(PostgresqlMarkTest, MarkBeyondTheLastKnown_IsAccepted) {
  Open();
  ASSERT_TRUE(SetMark(10).ok());
  Sql("UPDATE concordat.marks SET mark=15");
  EXPECT_TRUE(SetMark(20).ok());
}

TEST_F(PostgresqlMarkTest, ServerNotReached_IsMarkedLater) {
  testing::PostgresqlServer own;
  UseServer(&own);
  PostgresqlOptions options = Options();
  options.connection_wait = Duration::Millis(200);
  Open(options);
  ASSERT_TRUE(SetMark(10).ok());
  own.Stop();
  EXPECT_TRUE(absl::IsUnavailable(SetMark(20)));
  own.Start();
  uint64_t mark = 30;
  EXPECT_TRUE(Eventually([&] { return SetMark(++mark).ok(); }));
  EXPECT_EQ(MarkRow(), std::to_string(mark));
  UseServerAsItIs(&SharedServer());
}

TEST_F(PostgresqlMarkTest, Scenario29_DataDirectoryFromABackup_HasTheMarkOfItsTime) {
  testing::PostgresqlServer own;
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

TEST_F(PostgresqlMarkTest, Scenario29_DatabaseThatWentBackInUse_IsToldAndNotWritten) {
  testing::PostgresqlServer own;
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

}  // namespace
}  // namespace concordat::participant
