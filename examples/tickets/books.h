// The data of the three resources at the end, read in fresh transactions.
#ifndef EXAMPLES_TICKETS_BOOKS_H_
#define EXAMPLES_TICKETS_BOOKS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/client/client.h"

namespace concordat::tickets {

struct SeatRow {
  std::string seat;
  std::string state;  // "tried", "confirmed"
  std::string buyer;
};

// A payment in cents, or earned points.
struct Entry {
  std::string gtid;
  std::string buyer;
  std::string seat;
  int64_t amount = 0;
};

struct Books {
  std::vector<SeatRow> seats;
  std::vector<Entry> payments;
  std::vector<Entry> earned;
  std::map<std::string, int64_t> balances;  // by buyer
  std::map<std::string, int64_t> points;
};

// To be called when nothing is under way any more. The error says what could not be read.
[[nodiscard]] absl::StatusOr<Books> ReadBooks(client::Client* client);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_BOOKS_H_
