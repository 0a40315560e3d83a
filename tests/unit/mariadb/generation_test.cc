// The database's generation, by which an older copy of it is recognized.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mariadb/support.h"
// Of the above:
#include "tests/support/database_tests/generation_tests.h"

namespace concordat::participant {
namespace {

TEST_F(GenerationTest, NoTable_NamesTheCommandAndMissingRightsTheRole) {
  Sql("DROP TABLE concordat.generations");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("the table concordat.generations is not there"));
  ASSERT_TRUE(RunMariadbInit(Url()).ok());
  Sql("CREATE USER marker@localhost; GRANT ALL ON `" + Database() +
      "`.* TO marker@localhost; GRANT concordat_rm TO marker@localhost;"
      "REVOKE UPDATE ON concordat.generations FROM concordat_rm");
  std::string url = Url();
  url.replace(url.find("root@"), 5, "marker@");
  EXPECT_THAT(std::string(TryOpenAt(url, Options()).status().message()),
              HasSubstr("the role concordat_rm of user marker@localhost lacks rights"));
  Close();
  ASSERT_TRUE(RunMariadbInit(Url()).ok());
  Sql("DROP USER marker@localhost; ALTER TABLE concordat.generations ENGINE=Aria");
  EXPECT_THAT(std::string(TryOpen(Options()).status().message()),
              HasSubstr("ALTER TABLE concordat.generations ENGINE=InnoDB"));
  Sql("ALTER TABLE concordat.generations ENGINE=InnoDB");
}

}  // namespace
}  // namespace concordat::participant
