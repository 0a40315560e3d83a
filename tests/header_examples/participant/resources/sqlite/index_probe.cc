#include "participant/resources/sqlite/index_probe.h"

namespace concordat::participant::sqlite {

void IndexProbeExample(const ProbeSource& source, const std::vector<ValueView>& row) {
  // EXAMPLE
}

}  // namespace concordat::participant::sqlite
