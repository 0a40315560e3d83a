// Checks that seats, payments, points and what the buyers were told agree:
//
//   - A seat is sold to one buyer, and a buyer has at most one seat. All seats are sold
//     if enough buyers could pay.
//   - There is exactly one payment and one entry of points for each sold seat, by the
//     same buyer and the same transaction; there are no others.
//   - Each balance and each sum of points is the result of those entries.
//   - A buyer who was told "bought" has the seat, by the transaction in the answer. A
//     buyer who was told anything else has nothing.
#ifndef EXAMPLES_TICKETS_COMPARE_H_
#define EXAMPLES_TICKETS_COMPARE_H_

#include <string>
#include <vector>

#include "examples/tickets/books.h"
#include "examples/tickets/plan.h"
#include "examples/tickets/purchase.h"

namespace concordat::tickets {

// Returns a text for each disagreement. An answer kUnknown agrees both with a complete
// purchase and with none.
[[nodiscard]] std::vector<std::string> Compare(const Plan& plan,
                                               const std::vector<Answer>& answers,
                                               const Books& books);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_COMPARE_H_
