#include "coordinator/registry/table.h"

namespace concordat::registry {

void TableExample(LogIndex index, const Record& record, const ResourceUsers& users) {
  // EXAMPLE
}

}  // namespace concordat::registry
