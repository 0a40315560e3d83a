// What an application says on its own connection to run a branch there, up to PREPARE
// TRANSACTION. Everything after is the resolver's.
//
// In the branch the setting concordat.branch has the branch's gid; it ends with the
// transaction (SET LOCAL). So when the application has ended the transaction itself, or
// has begun another, the statement that writes the evidence fails, and nothing is
// prepared that is not all of the branch. It fails too when the application has taken on
// another role meanwhile, in which we could not end what it prepares.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_

#include <string>

#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::postgresql {

// Who serves the resource, as its connections have it.
struct Server {
  // See ResourceManager::store_id: the cluster of databases, and the database in it.
  std::string store_id;
  std::string database;
  std::string role;
  bool superuser = false;
};

// Gives store_id, database, role, superuser.
[[nodiscard]] database::Statement AskServer();
[[nodiscard]] Server ServerFrom(const database::StatementResult& row);

[[nodiscard]] wire::ApplicationManagedBranch ApplicationManagedSql(
    const Server& server, ClusterId cluster, const BranchId& branch,
    const std::string& begin_sql);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_
