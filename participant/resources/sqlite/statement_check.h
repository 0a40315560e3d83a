// Refuses statements that are not allowed in a branch, and finds which tables a statement
// reads. It uses SQLite's authorizer (www.sqlite.org/c3ref/set_authorizer.html), which
// SQLite calls while it compiles a statement.
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
  // Sets the authorizer on the connection. Without a catalog every write is refused.
  StatementCheck(Database* db, const Catalog* catalog);
  StatementCheck(const StatementCheck&) = delete;
  StatementCheck& operator=(const StatementCheck&) = delete;
  ~StatementCheck();

  // Between EnterUser and LeaveUser, statements are a user's; otherwise they are our own,
  // which may do everything. SQLite may compile a statement again, and call the
  // authorizer again, while the statement is stepped.
  void EnterUser();
  void LeaveUser() { in_user_ = false; }

  // Since EnterUser: why something was refused (empty: nothing was refused), and the
  // tables and views that were read.
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
  const Catalog* const catalog_;   // null: every write is refused
  bool in_user_ = false;           // between EnterUser and LeaveUser
  std::string refusal_;            // see refusal()
  std::vector<std::string> read_;  // see tables_read()
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_STATEMENT_CHECK_H_
