// The seats, the buyers and their money, and what each of the three resources keeps.
//
//   seats     the seat service of examples/own-resource
//   payments  PostgreSQL: accounts(buyer, balance), payments(gtid, buyer, seat, amount)
//   loyalty   MariaDB:    members(buyer, points), earned(gtid, buyer, seat, points)
//
// The seat is not unique in any of these tables: only the transactions ensure that a seat
// is paid for once, and the comparison at the end would find a violation.
#ifndef EXAMPLES_TICKETS_PLAN_H_
#define EXAMPLES_TICKETS_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace concordat::tickets {

inline constexpr char kSeats[] = "seats";
inline constexpr char kPayments[] = "payments";
inline constexpr char kLoyalty[] = "loyalty";

inline constexpr size_t kMaxSeats = 120;  // 1A to 20F
inline constexpr int64_t kPrice = 2'500;  // cents
inline constexpr int64_t kPoints = 25;    // for a ticket
inline constexpr size_t kPoorEvery = 4;   // each fourth buyer has a cent too little
inline constexpr int64_t kRich = 10'000;  // cents, for four tickets
inline constexpr int64_t kPoor = kPrice - 1;

struct Plan {
  size_t buyers = 1'000;
  size_t seats = 100;

  [[nodiscard]] bool IsPoor(size_t buyer) const { return buyer % kPoorEvery == 0; }
  [[nodiscard]] int64_t Opening(size_t buyer) const {
    return IsPoor(buyer) ? kPoor : kRich;
  }
  // Buyers who can pay.
  [[nodiscard]] size_t rich() const {
    return buyers - (buyers + kPoorEvery - 1) / kPoorEvery;
  }
};

[[nodiscard]] std::string BuyerName(size_t buyer);  // "buyer-17"
[[nodiscard]] std::string SeatName(size_t seat);    // 0 is "1A", 7 is "2B"

// Tables with an account for each buyer.
[[nodiscard]] std::string PaymentsSql(const Plan& plan);
[[nodiscard]] std::string LoyaltySql(const Plan& plan);

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_PLAN_H_
