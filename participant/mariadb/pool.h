// Connections to one MariaDB server: see participant/database/pool.h.
#ifndef PARTICIPANT_MARIADB_POOL_H_
#define PARTICIPANT_MARIADB_POOL_H_

#include <memory>

#include "participant/database/pool.h"
#include "participant/mariadb/connection.h"

namespace concordat::participant::mariadb {

using ConnectionPtr = std::shared_ptr<Connection>;
using Pool = database::Pool<Connection>;
using PoolOptions = database::PoolOptions;

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_MARIADB_POOL_H_
