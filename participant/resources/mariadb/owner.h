// Whose branches.
#ifndef PARTICIPANT_RESOURCES_MARIADB_OWNER_H_
#define PARTICIPANT_RESOURCES_MARIADB_OWNER_H_

#include <string>

#include "coordinator/base/xid.h"

namespace concordat::participant::mariadb {

struct Owner {
  ClusterId cluster;
  std::string resource;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_OWNER_H_
