// The statements with which an application runs a branch on a connection of its own, up
// to PREPARE TRANSACTION. The resolver does what follows.
//
// In the branch's transaction the setting concordat.branch has the branch's gid. It is
// set with SET LOCAL, so it ends with the transaction. If the application has ended the
// transaction itself, or has begun another one, the statement that writes the evidence
// fails, and a part of a branch is never prepared. That statement also fails if the
// application has changed its role, because we could not end a branch that another role
// has prepared.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_

#include <string>

#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::postgresql {

// The database of a resource and the role under which it is served, as a connection of
// the resource sees them.
struct Server {
  // See ResourceManager::store_id. It identifies the cluster of databases, and the
  // database in it.
  std::string store_id;
  std::string database;    // its name
  std::string role;        // its name
  bool superuser = false;  // the role is one
};

// Returns store_id, database, role and superuser.
[[nodiscard]] database::Statement AskServer();
[[nodiscard]] Server ServerFrom(const database::StatementResult& row);

[[nodiscard]] wire::ApplicationManagedBranch ApplicationManagedSql(
    const Server& server, ClusterId cluster, const BranchId& branch,
    const std::string& begin_sql);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_APPLICATION_MANAGED_H_
