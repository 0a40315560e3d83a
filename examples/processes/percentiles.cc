#include "examples/processes/percentiles.h"

#include <algorithm>
#include <cstddef>

namespace concordat::example {

namespace {

// The nearest rank: of a hundred times, p99 is the second largest.
int64_t At(std::vector<int64_t>* micros, size_t percent) {
  const size_t rank = (micros->size() * percent + 99) / 100;
  const auto place = micros->begin() + static_cast<ptrdiff_t>(rank == 0 ? 0 : rank - 1);
  std::nth_element(micros->begin(), place, micros->end());
  return *place;
}

}  // namespace

Percentiles PercentilesOf(std::vector<int64_t>* micros) {
  if (micros->empty()) return {};
  return {Duration::Micros(At(micros, 50)), Duration::Micros(At(micros, 99)),
          Duration::Micros(At(micros, 100))};
}

}  // namespace concordat::example
