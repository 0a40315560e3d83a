#include "thrift/wire/conversion.h"

namespace concordat {

void ConversionExample(const Gtid& gtid, wire::OutcomeRequest request) {
  // EXAMPLE
}

}  // namespace concordat
