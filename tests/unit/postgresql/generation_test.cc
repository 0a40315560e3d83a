// The database's generation, by which an older copy of it is recognized.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/postgresql/support.h"
// Of the above:
#include "tests/support/database_tests/generation_tests.h"

namespace concordat::participant {
namespace {

TEST_F(GenerationTest, NoTable_NamesTheCommandAndWrongRightsTheGrant) {
  Sql("DROP TABLE concordat.generations");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("the table concordat.generations is not there: make it with "
                        "\"concordat-rm init URL\""));
  ASSERT_TRUE(RunPostgresqlInit(Url()).ok());
  MakeRole("marker");
  Sql("REVOKE ALL ON concordat.generations FROM marker");
  EXPECT_THAT(
      std::string(TryOpenAt(UrlOf("marker"), Options()).status().message()),
      HasSubstr("GRANT SELECT ON concordat.branches, concordat.generations TO marker"));
  Close();
  Sql("ALTER TABLE concordat.generations SET UNLOGGED");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("ALTER TABLE concordat.generations SET LOGGED"));
}

}  // namespace
}  // namespace concordat::participant
