// A resource is served under a role that has no more rights than it needs.
#ifndef TESTS_UNIT_POSTGRESQL_RIGHTS_FIXTURE_H_
#define TESTS_UNIT_POSTGRESQL_RIGHTS_FIXTURE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {

class RightsTest : public PostgresqlTest {
 protected:
  static constexpr char kUpdate[] = "UPDATE account SET balance=balance-1 WHERE id=1";
  RightsTest() { OpenAs("app"); }
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }
  // Selects in a branch of its own, which is the only one in the session.
  std::string Select(const std::string& sql) {
    const BranchId branch = Begin();
    std::string rows = Query(branch, sql);
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    return rows;
  }
  // Creates a function `f` of another owner that runs `sql`.
  void MakeFunction(const std::string& sql, const std::string& returns = "void") {
    Sql(absl::StrCat("CREATE OR REPLACE FUNCTION f() RETURNS ", returns,
                     " LANGUAGE plpgsql AS $f$ BEGIN ", sql, "; END $f$"));
  }
  void MakeDeferredTrigger(const std::string& sql) {
    MakeFunction(sql + "; RETURN NULL", "trigger");
    Sql("CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON account DEFERRABLE INITIALLY "
        "DEFERRED FOR EACH ROW EXECUTE FUNCTION f()");
  }
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_POSTGRESQL_RIGHTS_FIXTURE_H_
