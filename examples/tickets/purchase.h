// One buyer buys one seat: one global transaction over three resources.
//
//   seats     ask which are free, reserve one of them (Try: nobody else can get it)
//             … the buyer looks for the credit card …
//   payments  take the price from the account, unless that overdraws it
//   loyalty   add the points
//   Commit    the seat is sold and paid for, or nothing is done
//
// "Sold out" and "too poor" are answers. If another buyer was faster, or a server has
// died, the buyer tries again. After UNKNOWN the buyer first asks for the outcome.
#ifndef EXAMPLES_TICKETS_PURCHASE_H_
#define EXAMPLES_TICKETS_PURCHASE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "coordinator/client/client.h"
#include "examples/tickets/plan.h"

namespace concordat::tickets {

enum class Told : uint8_t {
  kBought,
  kSoldOut,
  kTooPoor,
  kUnknown,  // the outcome of the last attempt is not known, even after a long time
  kGaveUp,   // nothing was bought, after attempts for a long time
};
[[nodiscard]] const char* ToString(Told told);

struct Answer {
  size_t buyer = 0;
  Told told = Told::kGaveUp;
  std::string seat;             // that the last attempt has reserved
  client::CommitResult result;  // of the last attempt
  size_t tries = 0;             // attempts, including the first one
  bool was_unknown = false;     // an attempt has ended kUnknown, and was asked about
  Duration took;
};

struct Habits {
  Duration longest_thought;  // between taking a seat and paying
  Duration patience;         // for all attempts together
  // Called on any thread when an attempt gives no answer, with the resource's message.
  std::function<void(const std::string& why)> on_trouble;
};

// Blocks; may be called on any thread. All buyers share the client.
[[nodiscard]] Answer Buy(client::Client* client, const Plan& plan, size_t buyer,
                         const Habits& habits, uint64_t seed);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_PURCHASE_H_
