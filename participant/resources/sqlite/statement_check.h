// What a branch's statements may not do, told by SQLite's authorizer
// (www.sqlite.org/c3ref/set_authorizer.html) while a statement is compiled; and which
// tables a statement reads.
#ifndef PARTICIPANT_RESOURCES_SQLITE_STATEMENT_CHECK_H_
#define PARTICIPANT_RESOURCES_SQLITE_STATEMENT_CHECK_H_

#include <string>
#include <string_view>
#include <vector>

#include "participant/resources/sqlite/catalog.h"
#include "participant/resources/sqlite/database.h"

namespace concordat::participant::sqlite {

class StatementCheck {
 public:
  // Puts the authorizer into the connection. With no catalog every write is refused.
  StatementCheck(Database* db, const Catalog* catalog);
  StatementCheck(const StatementCheck&) = delete;
  StatementCheck& operator=(const StatementCheck&) = delete;
  ~StatementCheck();

  // Between these, statements are a user's; outside, ours, which may do all. SQLite
  // compiles a statement again, and asks again, while it is stepped.
  void EnterUser();
  void LeaveUser() { in_user_ = false; }

  // Since EnterUser: why something was refused (empty: nothing was), and the tables
  // and views read.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  [[nodiscard]] const std::vector<std::string>& tables_read() const { return read_; }

 private:
  static int OnAction(void* self, int action, const char* a, const char* b,
                      const char* schema, const char* trigger);
  [[nodiscard]] int Decide(int action, std::string_view a, std::string_view b,
                           std::string_view schema, bool in_trigger);
  [[nodiscard]] int DecideRead(std::string_view table);
  [[nodiscard]] int DecideWrite(std::string_view table, std::string_view schema);
  [[nodiscard]] int DecideFunction(std::string_view name, bool in_trigger);
  [[nodiscard]] int Refuse(std::string why);

  Database* const db_;
  const Catalog* const catalog_;
  bool in_user_ = false;
  std::string refusal_;
  std::vector<std::string> read_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_STATEMENT_CHECK_H_
