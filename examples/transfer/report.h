// The table that is printed at the end.
#ifndef EXAMPLES_TRANSFER_REPORT_H_
#define EXAMPLES_TRANSFER_REPORT_H_

#include <cstddef>
#include <string>

#include "examples/transfer/run_transfers.h"
#include "examples/transfer/statistics.h"
#include "examples/transfer/verify.h"

namespace concordat::transfer {

struct ReportInput {
  const RunResult* outcome = nullptr;
  const Statistics* statistics = nullptr;
  const Verdict* verdict = nullptr;
  Money money_before;
  Scale scale = Scale(2);
  size_t elections = 0;
};

// The lines of the table, each with its line end.
[[nodiscard]] std::string Report(const ReportInput& input);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_REPORT_H_
