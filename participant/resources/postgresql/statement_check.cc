#include "participant/resources/postgresql/statement_check.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "participant/resources/database/sql_words.h"

namespace concordat::participant::postgresql {

namespace {

using database::IsOneOf;
using database::Mentions;

constexpr size_t kWords = 4;

void SkipBlockComment(std::string_view sql, size_t* at) {  // they nest
  size_t depth = 1;
  *at += 2;
  while (*at < sql.size() && depth > 0) {
    const std::string_view two = sql.substr(*at, 2);
    if (two == "/*") ++depth;
    if (two == "*/") --depth;
    *at += two == "/*" || two == "*/" ? 2 : 1;
  }
}

void SkipSpace(std::string_view sql, size_t* at) {
  while (*at < sql.size()) {
    const std::string_view two = sql.substr(*at, 2);
    if (two == "--") {
      *at = std::min(sql.find('\n', *at), sql.size());
    } else if (two == "/*") {
      SkipBlockComment(sql, at);
    } else if (std::isspace(static_cast<unsigned char>(sql[*at])) != 0 ||
               sql[*at] == ';' || sql[*at] == '(') {
      ++*at;  // "(SELECT …)" begins with SELECT
    } else {
      return;
    }
  }
}

std::vector<std::string> FirstWords(std::string_view sql) {
  std::vector<std::string> words;
  size_t at = 0;
  while (words.size() < kWords) {
    SkipSpace(sql, &at);
    std::string word;
    while (at < sql.size() &&
           (std::isalnum(static_cast<unsigned char>(sql[at])) != 0 || sql[at] == '_')) {
      word.push_back(
          static_cast<char>(std::toupper(static_cast<unsigned char>(sql[at++]))));
    }
    if (word.empty()) break;
    words.push_back(std::move(word));
  }
  words.resize(kWords);
  return words;
}

bool IsTemporary(const std::vector<std::string>& words) {
  if (words[0] != "CREATE") return false;
  return std::any_of(words.begin() + 1, words.end(), [](const std::string& word) {
    return word == "TEMP" || word == "TEMPORARY";
  });
}

// Why the statement is refused. Empty: it is not.
std::string WhyRefused(std::string_view sql, const std::vector<std::string>& words) {
  const std::string& first = words[0];
  if (first.empty()) return "it does not begin with a word";
  if (IsOneOf(first, {"BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK", "SAVEPOINT",
                      "RELEASE"}) ||
      (first == "PREPARE" && words[1] == "TRANSACTION")) {
    return "the branch is a transaction already, and ends with the global one";
  }
  if (IsOneOf(first, {"LISTEN", "UNLISTEN", "NOTIFY"}) || Mentions(sql, "pg_notify")) {
    return "PostgreSQL cannot prepare a transaction with LISTEN or NOTIFY";
  }
  if (IsTemporary(words)) {
    return "PostgreSQL cannot prepare a transaction that has touched a temporary table; "
           "use a table, or WITH";
  }
  if (IsOneOf(first, {"PREPARE", "EXECUTE", "DEALLOCATE", "DECLARE", "FETCH", "MOVE",
                      "CLOSE", "DISCARD", "LOAD", "RESET"})) {
    return "it is about a session, and a branch has none; statements with parameters "
           "are kept prepared by themselves";
  }
  if (first == "SET" && !IsOneOf(words[1], {"LOCAL", "CONSTRAINTS"})) {
    return "it would stay in the session when the branch is over; use SET LOCAL";
  }
  if (first == "SET" && Mentions(sql, "synchronous_commit")) {
    return "a commit must be on disk when it is answered";
  }
  if (first == "COPY") return "rows go in by INSERT, and come out by SELECT";
  return "";
}

}  // namespace

absl::StatusOr<StatementKind> CheckStatement(std::string_view sql) {
  if (sql.find('\0') != sql.npos) {
    return absl::InvalidArgumentError("a statement with a NUL character in it");
  }
  const std::vector<std::string> words = FirstWords(sql);
  const std::string why = WhyRefused(sql, words);
  if (!why.empty()) return database::RefusedInBranch(words[0], why);
  StatementKind kind;
  kind.writes =
      IsOneOf(words[0], {"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP",
                         "TRUNCATE", "GRANT", "REVOKE", "LOCK"}) ||
      Mentions(sql, "pg_advisory_xact_lock") ||
      Mentions(sql, "pg_try_advisory_xact_lock") ||
      Mentions(sql, "pg_advisory_xact_lock_shared");
  return kind;
}

}  // namespace concordat::participant::postgresql
