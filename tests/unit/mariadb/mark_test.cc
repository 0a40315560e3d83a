// How far the database has come, and how an older copy of it shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mariadb/support.h"
// Of the above:
#include "tests/support/database_tests/mark_tests.h"

namespace concordat::participant {
namespace {

TEST_F(MarkTest, NoTable_NamesTheCommandAndWrongRightsTheGrant) {
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

}  // namespace
}  // namespace concordat::participant
