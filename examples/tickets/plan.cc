#include "examples/tickets/plan.h"

#include <functional>

#include "absl/strings/str_cat.h"

namespace concordat::tickets {

namespace {

constexpr size_t kSeatsInRow = 6;

std::string InsertAll(const std::string& table, const Plan& plan,
                      const std::function<int64_t(size_t)>& number) {
  std::string sql = absl::StrCat("INSERT INTO ", table, " VALUES ");
  for (size_t buyer = 0; buyer < plan.buyers; ++buyer) {
    absl::StrAppend(&sql, buyer == 0 ? "" : ",", "('", BuyerName(buyer), "',",
                    number(buyer), ")");
  }
  return sql + ";";
}

}  // namespace

std::string BuyerName(size_t buyer) { return absl::StrCat("buyer-", buyer); }

std::string SeatName(size_t seat) {
  return absl::StrCat(seat / kSeatsInRow + 1) +
         static_cast<char>('A' + static_cast<char>(seat % kSeatsInRow));
}

std::string PaymentsSql(const Plan& plan) {
  return absl::StrCat(
      "CREATE TABLE accounts(buyer TEXT PRIMARY KEY, balance BIGINT NOT NULL);"
      "CREATE TABLE payments(gtid TEXT PRIMARY KEY, buyer TEXT NOT NULL,"
      "  seat TEXT NOT NULL, amount BIGINT NOT NULL);",
      InsertAll("accounts", plan, [&plan](size_t buyer) { return plan.Opening(buyer); }));
}

std::string LoyaltySql(const Plan& plan) {
  return absl::StrCat(
      "CREATE TABLE members(buyer VARCHAR(60) PRIMARY KEY, points BIGINT NOT NULL)"
      "  ENGINE=InnoDB;"
      "CREATE TABLE earned(gtid VARCHAR(60) PRIMARY KEY, buyer VARCHAR(60) NOT NULL,"
      "  seat VARCHAR(10) NOT NULL, points BIGINT NOT NULL) ENGINE=InnoDB;",
      InsertAll("members", plan, [](size_t) { return int64_t{0}; }));
}

}  // namespace concordat::tickets
