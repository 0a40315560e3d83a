#include "participant/resources/sqlite/lock_table.h"

namespace concordat::participant::sqlite {

void LockTableExample(LockTable& locks, Branch* branch, const LockWant& want) {
  // EXAMPLE
}

}  // namespace concordat::participant::sqlite
