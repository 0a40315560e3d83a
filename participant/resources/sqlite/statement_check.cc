#include "participant/resources/sqlite/statement_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/text.h"

namespace concordat::participant::sqlite {

namespace {

std::string_view OrEmpty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

bool IsSchemaTable(std::string_view table) {
  return absl::StartsWithIgnoreCase(ToAbsl(table), "sqlite_");
}

}  // namespace

StatementCheck::StatementCheck(Database* db, const Catalog* catalog)
    : db_(db), catalog_(catalog) {
  sqlite3_set_authorizer(db->handle(), &StatementCheck::OnAction, this);
}

StatementCheck::~StatementCheck() {
  sqlite3_set_authorizer(db_->handle(), nullptr, nullptr);
}

void StatementCheck::EnterUser() {
  in_user_ = true;
  refusal_.clear();
  read_.clear();
}

int StatementCheck::OnAction(void* self, int action, const char* a, const char* b,
                             const char* schema, const char* trigger) {
  auto* check = static_cast<StatementCheck*>(self);
  if (!check->in_user_) return SQLITE_OK;
  return check->Decide(action, OrEmpty(a), OrEmpty(b), OrEmpty(schema),
                       trigger != nullptr);
}

int StatementCheck::Decide(int action, std::string_view a, std::string_view b,
                           std::string_view schema, bool in_trigger) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      return DecideRead(a);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
      return DecideWrite(a, schema);
    case SQLITE_FUNCTION:
      return DecideFunction(b, in_trigger);
    case SQLITE_PRAGMA:
      return Refuse(absl::StrCat("PRAGMA ", ToAbsl(a), " is refused in a branch"));
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
      return Refuse(
          "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are refused in a branch: the "
          "coordinator ends it");
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      return Refuse("ATTACH and DETACH are refused in a branch");
    default:
      return Refuse(
          "changes of the schema are refused in a branch: they are made at the start of "
          "the resource (schema_sql), or by another program");
  }
}

int StatementCheck::DecideRead(std::string_view table) {
  if (IsReservedName(table)) {
    return Refuse(absl::StrCat("table ", ToAbsl(table), " is Concordat's own"));
  }
  std::string name(table);
  if (std::find(read_.begin(), read_.end(), name) == read_.end()) {
    read_.push_back(std::move(name));
  }
  return SQLITE_OK;
}

int StatementCheck::DecideWrite(std::string_view table, std::string_view schema) {
  if (IsReservedName(table)) {
    return Refuse(absl::StrCat("table ", ToAbsl(table), " is Concordat's own"));
  }
  if (IsSchemaTable(table)) {  // the first access of CREATE, DROP and ALTER
    return Refuse(absl::StrCat(
        "changes of the schema or of ", ToAbsl(table),
        " are refused in a branch: they are made at the start of the resource "
        "(schema_sql), or by another program"));
  }
  const Table* found = catalog_ == nullptr || (schema != "main" && !schema.empty())
                           ? nullptr
                           : catalog_->Find(table);
  if (found == nullptr) {
    return Refuse(
        absl::StrCat("table ", ToAbsl(table), " cannot be written in a branch"));
  }
  return found->refusal.empty() ? SQLITE_OK : Refuse(found->refusal);
}

int StatementCheck::DecideFunction(std::string_view name, bool in_trigger) {
  if (absl::EqualsIgnoreCase(ToAbsl(name), "load_extension")) {
    return Refuse("load_extension is refused");
  }
  // They count for the connection, which all branches share.
  if (!in_trigger && (absl::EqualsIgnoreCase(ToAbsl(name), "changes") ||
                      absl::EqualsIgnoreCase(ToAbsl(name), "total_changes"))) {
    return Refuse(absl::StrCat(
        ToAbsl(name),
        "() is refused in a branch: it would count other branches' rows; the "
        "result of each statement says how many rows it changed"));
  }
  return SQLITE_OK;
}

int StatementCheck::Refuse(std::string why) {
  if (refusal_.empty()) refusal_ = std::move(why);
  return SQLITE_DENY;
}

}  // namespace concordat::participant::sqlite
