#include "wal/log.h"

namespace concordat::wal {

void LogExample(uint8_t kVote, std::string_view bytes, Lsn first_needed) {
  // EXAMPLE
}

}  // namespace concordat::wal
