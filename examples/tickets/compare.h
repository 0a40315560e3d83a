// Seats, payments, points and what the buyers were told: do they agree?
//
//   - a seat is sold to one buyer, and a buyer has one seat; all are sold if there were
//     enough buyers who could pay
//   - exactly one payment and one entry of points for each sold seat, by the same buyer,
//     by the same transaction; none without a seat
//   - each balance and each sum of points is what those entries make of it
//   - whoever was told "bought" has it, by the transaction that he was told of; whoever
//     was told anything else has nothing
#ifndef EXAMPLES_TICKETS_COMPARE_H_
#define EXAMPLES_TICKETS_COMPARE_H_

#include <string>
#include <vector>

#include "examples/tickets/books.h"
#include "examples/tickets/plan.h"
#include "examples/tickets/purchase.h"

namespace concordat::tickets {

// Findings in words; none: all agrees. An answer that is kUnknown agrees with all or
// with nothing.
[[nodiscard]] std::vector<std::string> Compare(const Plan& plan,
                                               const std::vector<Answer>& answers,
                                               const Books& books);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_COMPARE_H_
