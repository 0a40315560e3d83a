// The table that is printed at the end.
#ifndef EXAMPLES_TICKETS_REPORT_H_
#define EXAMPLES_TICKETS_REPORT_H_

#include <string>
#include <vector>

#include "examples/processes/nemesis.h"
#include "examples/processes/observer.h"
#include "examples/tickets/books.h"
#include "examples/tickets/purchase.h"

namespace concordat::tickets {

struct Ending {
  std::vector<Answer> answers;
  std::vector<example::Fault> faults;
  Duration elapsed;        // of the sale
  example::OpenWork open;  // what was not over when the wait for it ended
  Books books;
  std::vector<std::string> findings;

  [[nodiscard]] bool agrees() const { return findings.empty() && open.none(); }
};

[[nodiscard]] std::string Report(const Plan& plan, const Ending& ending);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_REPORT_H_
