#include "participant/resources/postgresql/pool.h"

namespace concordat::participant::database {

template class Pool<postgresql::Connection>;

}  // namespace concordat::participant::database
