// Connections to one MariaDB server: see participant/resources/database/pool.h.
#ifndef PARTICIPANT_RESOURCES_MARIADB_POOL_H_
#define PARTICIPANT_RESOURCES_MARIADB_POOL_H_

#include <memory>

#include "participant/resources/database/pool.h"
#include "participant/resources/mariadb/connection.h"

namespace concordat::participant::mariadb {

using ConnectionPtr = std::shared_ptr<Connection>;
using Pool = database::Pool<Connection>;
using PoolOptions = database::PoolOptions;

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_POOL_H_
