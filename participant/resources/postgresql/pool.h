// Connections to one PostgreSQL database: see participant/resources/database/pool.h.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_POOL_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_POOL_H_

#include <memory>

#include "participant/resources/database/pool.h"
#include "participant/resources/postgresql/connection.h"

namespace concordat::participant {

namespace database {
extern template class Pool<postgresql::Connection>;
}

namespace postgresql {

using ConnectionPtr = std::shared_ptr<Connection>;
using Pool = database::Pool<Connection>;
using PoolOptions = database::PoolOptions;

}  // namespace postgresql
}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_POOL_H_
