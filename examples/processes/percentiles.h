// Of times, what is asked for: the middle, almost the longest, the longest.
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
// Of no times: zeros. Takes the times apart.
[[nodiscard]] Percentiles PercentilesOf(std::vector<int64_t>* micros);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_PERCENTILES_H_
