// How far the database has come, and how an older copy of it shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/postgresql/support.h"
// Of the above:
#include "tests/support/database_tests/mark_tests.h"

namespace concordat::participant {
namespace {

TEST_F(MarkTest, NoTable_NamesTheCommandAndWrongRightsTheGrant) {
  Sql("DROP TABLE concordat.marks");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("the table concordat.marks is not there: make it with "
                        "\"concordat rm init URL\""));
  ASSERT_TRUE(RunPostgresqlInit(Url()).ok());
  MakeRole("marker");
  Sql("REVOKE ALL ON concordat.marks FROM marker");
  EXPECT_THAT(std::string(TryOpenAt(UrlOf("marker"), Options()).status().message()),
              HasSubstr("GRANT SELECT ON concordat.branches, concordat.marks TO marker"));
  Close();
  Sql("ALTER TABLE concordat.marks SET UNLOGGED");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("ALTER TABLE concordat.marks SET LOGGED"));
}

}  // namespace
}  // namespace concordat::participant
