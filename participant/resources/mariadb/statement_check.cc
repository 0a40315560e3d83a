#include "participant/resources/mariadb/statement_check.h"

#include <algorithm>
#include <cctype>

#include "participant/resources/database/sql_words.h"

namespace concordat::participant::mariadb {

namespace {

using database::IsOneOf;
using database::Mentions;

// Whether the comment is of a kind whose text the server runs as SQL.
bool IsCode(std::string_view comment) {
  return comment.substr(0, 3) == "/*!" || comment.substr(0, 4) == "/*M!";
}

// MariaDB's comments are "#…", "-- …" and "/*…*/", and do not nest.
size_t SkipSpace(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    const std::string_view rest = sql.substr(at);
    if (rest[0] == '#' || rest.substr(0, 2) == "--") {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (rest.substr(0, 2) == "/*" && !IsCode(rest)) {
      const size_t end = sql.find("*/", at + 2);
      at = end == sql.npos ? sql.size() : end + 2;
    } else if (std::isspace(static_cast<unsigned char>(rest[0])) != 0 || rest[0] == '(') {
      ++at;  // "(SELECT …)" begins with SELECT
    } else {
      break;
    }
  }
  return at;
}

std::string FirstWord(std::string_view sql) {
  std::string word;
  for (size_t at = SkipSpace(sql, 0); at < sql.size(); ++at) {
    const auto c = static_cast<unsigned char>(sql[at]);
    if (std::isalnum(c) == 0 && c != '_') break;
    word.push_back(static_cast<char>(std::toupper(c)));
  }
  return word;
}

// Why the statement is refused. Empty: it is not.
std::string WhyRefused(std::string_view first) {
  if (first.empty()) return "it does not begin with a word";
  if (IsOneOf(first,
              {"BEGIN", "START", "COMMIT", "XA", "ROLLBACK", "SAVEPOINT", "RELEASE"})) {
    return "the branch is a transaction already, and ends with the global one";
  }
  if (IsOneOf(first,
              {"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "LOCK",
               "UNLOCK", "FLUSH", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK"})) {
    return "MariaDB commits what is under way before it, and so does not allow it in a "
           "branch; change the schema outside of branches";
  }
  if (IsOneOf(first,
              {"SET", "USE", "PREPARE", "EXECUTE", "DEALLOCATE", "HANDLER", "RESET"})) {
    return "it is about a session, and a branch has none; statements with parameters "
           "are kept prepared by themselves";
  }
  if (first == "LOAD") return "rows go in by INSERT";
  if (!IsOneOf(first, {"SELECT", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE",
                       "REPLACE", "DO", "CALL", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"})) {
    return "a branch takes SELECT, INSERT, UPDATE, DELETE, REPLACE, WITH, VALUES, CALL, "
           "DO, SHOW, DESCRIBE and EXPLAIN";
  }
  return "";
}

}  // namespace

absl::StatusOr<StatementKind> CheckStatement(std::string_view sql) {
  const std::string first = FirstWord(sql);
  const std::string why = WhyRefused(first);
  if (!why.empty()) return database::RefusedInBranch(first, why);
  StatementKind kind;
  kind.writes = IsOneOf(first, {"INSERT", "UPDATE", "DELETE", "REPLACE", "CALL"});
  // SHOW … WHERE f() may call a function, and so may EXPLAIN, which evaluates what it can
  // in advance.
  kind.may_write = IsOneOf(
      first, {"SELECT", "WITH", "VALUES", "DO", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"});
  // The server does not always report changes of user variables and of the value of
  // LAST_INSERT_ID. And a procedure may run any text that it is given.
  kind.taints =
      first == "CALL" || sql.find('@') != sql.npos || Mentions(sql, "last_insert_id");
  kind.many_results = first == "CALL";
  return kind;
}

}  // namespace concordat::participant::mariadb
