// The percentiles of times that are shown: median, 99th percentile and maximum.
#ifndef EXAMPLES_PROCESSES_PERCENTILES_H_
#define EXAMPLES_PROCESSES_PERCENTILES_H_

#include <cstdint>
#include <vector>

#include "coordinator/base/clock.h"

namespace concordat::example {

struct Percentiles {
  Duration p50;
  Duration p99;
  Duration max;
};
// All zero if there are no times. Reorders the times.
[[nodiscard]] Percentiles PercentilesOf(std::vector<int64_t>* micros);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_PERCENTILES_H_
