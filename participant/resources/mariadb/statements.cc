#include "participant/resources/mariadb/statements.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/resources/mariadb/schema.h"

namespace concordat::participant::mariadb {

std::string Quoted(const std::string& name) {
  CONCORDAT_CHECK(IsValidResourceName(name)) << name;
  return absl::StrCat("'", name, "'");
}

Statement TakeRole() {
  Statement take{absl::StrCat("SET ROLE ", kRole)};
  take.traits = kChangesSession;
  return take;
}

Statement DropRole() {
  Statement drop{"SET ROLE NONE"};
  drop.traits = kChangesSession;
  return drop;
}

Statement FlushEngine() { return {"FLUSH LOCAL ENGINE LOGS"}; }

Statement AnnounceSession(const database::Owner& owner) {
  return {absl::StrCat("REPLACE INTO concordat.sessions SELECT CONNECTION_ID(),",
                       kServerStart, ",", Quoted(owner.resource), ",",
                       owner.cluster.value())};
}

// At most 64 characters: 10 + 16 + 1 + kMaxResourceNameLength + 6.
std::string ServingLockName(const database::Owner& owner) {
  CONCORDAT_CHECK(IsValidResourceName(owner.resource)) << owner.resource;
  return absl::StrCat("concordat_", absl::Hex(owner.cluster.value(), absl::kZeroPad16),
                      "_", owner.resource, "#serve");
}

// A session that was interrupted while it waited for its client is listed as Killed until
// its next statement.
Statement SessionsAtRest(const std::vector<std::string>& ids) {
  return {
      absl::StrCat("SELECT ID,COMMAND='Sleep' OR (COMMAND='Killed' AND INFO IS NULL),",
                   kServerStart, " FROM information_schema.PROCESSLIST WHERE ID IN (",
                   absl::StrJoin(ids, ","), ")")};
}

bool Works(const StatementResult& rows, const SessionId& session) {
  for (size_t row = 0; row < rows.rows.size(); ++row) {
    if (rows.Field(row, 0) != session.id) continue;
    return rows.Field(row, 1) == "0" && rows.Field(row, 2) == session.start;
  }
  return false;
}

bool IsOneOf(unsigned error, std::initializer_list<unsigned> errors) {
  return std::find(errors.begin(), errors.end(), error) != errors.end();
}

// 1242: kServerStart was interrupted.
bool IsTransientError(unsigned error) {
  return IsOneOf(error, {1021, 1037, 1038, 1040, 1041, 1053, 1114, 1135, 1205, 1213,
                         1203, 1223, 1226, 1242, 1290, 1317, 1836, 1927, 1969, 3024});
}

}  // namespace concordat::participant::mariadb
