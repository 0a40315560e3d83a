// How far the database has come, and how an older copy of it shows: the server's data
// directory is put back, while nobody serves it and in use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;

class MariadbMarkTest : public MariadbTest {
 protected:
  absl::Status SetMark(uint64_t mark) {
    Later<absl::Status> done;
    manager().SetMark(mark, done.callback());
    return done.Get();
  }
  // The database concordat is the server's.
  std::string MarkRow() {
    return Sql("SELECT mark FROM concordat.marks WHERE resource='" + Options().resource +
               "'");
  }
};

TEST_F(MariadbMarkTest, Mark_IsKeptInTheDatabase) {
  Sql("DELETE FROM concordat.marks");
  Open();
  EXPECT_EQ(manager().mark(), 0u);
  ASSERT_TRUE(SetMark(10).ok());
  ASSERT_TRUE(SetMark(20).ok());
  EXPECT_EQ(MarkRow(), "20");
  Open();
  EXPECT_EQ(manager().mark(), 20u);
}

TEST_F(MariadbMarkTest, NoTable_NamesTheCommandAndWrongRightsTheGrant) {
  Sql("DROP TABLE concordat.marks");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("the table concordat.marks is not there"));
  ASSERT_TRUE(RunMariadbInit(Url()).ok());
  Sql("CREATE USER marker@localhost; GRANT ALL ON `" + Database() +
      "`.* TO marker@localhost; GRANT SELECT ON concordat.* TO marker@localhost;"
      "GRANT INSERT, DELETE ON concordat.branches TO marker@localhost");
  std::string url = Url();
  url.replace(url.find("root@"), 5, "marker@");
  EXPECT_THAT(std::string(TryOpenAt(url, Options()).status().message()),
              HasSubstr("GRANT SELECT, INSERT, UPDATE ON concordat.marks TO marker@"));
  Close();
  Sql("DROP USER marker@localhost; ALTER TABLE concordat.marks ENGINE=Aria");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("ALTER TABLE concordat.marks ENGINE=InnoDB"));
  Sql("ALTER TABLE concordat.marks ENGINE=InnoDB");
}

// One whose answer was lost may be there: that is no older copy.
TEST_F(MariadbMarkTest, MarkBeyondTheLastKnown_IsAccepted) {
  Open();
  ASSERT_TRUE(SetMark(10).ok());
  Sql("UPDATE concordat.marks SET mark=15");
  EXPECT_TRUE(SetMark(20).ok());
}

TEST_F(MariadbMarkTest, ServerNotReached_IsMarkedLater) {
  testing::MariadbServer own;
  UseServer(&own);
  MariadbOptions options = Options();
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

TEST_F(MariadbMarkTest, Scenario29_DataDirectoryFromABackup_HasTheMarkOfItsTime) {
  testing::MariadbServer own;
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

TEST_F(MariadbMarkTest, Scenario29_DatabaseThatWentBackInUse_IsToldAndNotWritten) {
  testing::MariadbServer own;
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
