// One buyer buys one seat: one global transaction over three resources.
//
//   seats     asks which are free, takes one of them (Try: held, nobody else gets it)
//             … the buyer looks for the card …
//   payments  takes the price from the account, unless that overdraws it
//   loyalty   adds the points
//   Commit    sold and paid, or nothing of it
//
// Sold out and too poor are answers. A seat that was snatched away, or a server that
// died, is none: the buyer tries again. After UNKNOWN he asks first what became of it.
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
  kUnknown,  // the last try may have bought it, and nobody could say for a long time
  kGaveUp,   // has not bought, after trying for a long time
};
[[nodiscard]] const char* ToString(Told told);

struct Answer {
  size_t buyer = 0;
  Told told = Told::kGaveUp;
  std::string seat;             // of the last try that took one
  client::CommitResult result;  // of the last try
  size_t tries = 0;             // the first one included
  bool was_unknown = false;     // a try ended so; it was asked about
  Duration took;
};

struct Habits {
  Duration longest_thought;  // between taking a seat and paying
  Duration patience;         // for all tries
  // Hears why a try did not end in an answer, in the resource's own words. Any thread.
  std::function<void(const std::string& why)> on_trouble;
};

// Blocks; any thread. The client is shared.
[[nodiscard]] Answer Buy(client::Client* client, const Plan& plan, size_t buyer,
                         const Habits& habits, uint64_t seed);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_PURCHASE_H_
