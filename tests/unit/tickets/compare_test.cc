// The comparison at the end must see each way in which a seat, a payment, points or an
// answer can be wrong.
#include "examples/tickets/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace concordat::tickets {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Gtid MakeGtid(uint64_t sequence) { return Gtid{GroupId(1), Term(2), sequence}; }

// Two seats and four buyers. The first is too poor; the next two bought 1A and 1B, by
// transactions 1.2.1 and 1.2.2; the last came too late.
class CompareTest : public ::testing::Test {
 protected:
  CompareTest() {
    plan_.buyers = 4;
    plan_.seats = 2;
    for (size_t buyer = 0; buyer < plan_.buyers; ++buyer) {
      books_.balances[BuyerName(buyer)] = plan_.Opening(buyer);
      books_.points[BuyerName(buyer)] = 0;
    }
    answers_ = {AnswerOf(0, Told::kTooPoor), Bought(1, "1A"), Bought(2, "1B"),
                AnswerOf(3, Told::kSoldOut)};
    Sell(1, "1A");
    Sell(2, "1B");
  }

  static Answer AnswerOf(size_t buyer, Told told) {
    Answer answer;
    answer.buyer = buyer;
    answer.told = told;
    return answer;
  }
  static Answer Bought(size_t buyer, const std::string& seat) {
    Answer answer = AnswerOf(buyer, Told::kBought);
    answer.seat = seat;
    answer.result.outcome = Outcome::kCommitted;
    answer.result.gtid = MakeGtid(buyer);
    return answer;
  }
  // As one transaction does.
  void Sell(size_t buyer, const std::string& seat) {
    books_.seats.push_back({seat, "confirmed", BuyerName(buyer)});
    const std::string gtid = ToString(MakeGtid(buyer));
    books_.payments.push_back({gtid, BuyerName(buyer), seat, kPrice});
    books_.earned.push_back({gtid, BuyerName(buyer), seat, kPoints});
    books_.balances[BuyerName(buyer)] -= kPrice;
    books_.points[BuyerName(buyer)] += kPoints;
  }
  // Removes everything that buyer 2 has done.
  void UndoBuyerTwo() {
    books_.seats.pop_back();
    books_.payments.pop_back();
    books_.earned.pop_back();
    books_.balances["buyer-2"] += kPrice;
    books_.points["buyer-2"] -= kPoints;
  }
  std::vector<std::string> Find() const { return Compare(plan_, answers_, books_); }

  Plan plan_;
  Books books_;
  std::vector<Answer> answers_;
};

TEST_F(CompareTest, EverySeatSoldAndPaidOnce_Agrees) { EXPECT_THAT(Find(), IsEmpty()); }

// --- Seats ---

TEST_F(CompareTest, SeatThatIsStillHeld_IsFound) {
  books_.seats[1].state = "tried";
  EXPECT_THAT(Find(), ElementsAre("seat 1B is still tried"));
}

TEST_F(CompareTest, SeatThatWasNotForSale_IsFound) {
  for (auto* entries : {&books_.payments, &books_.earned}) (*entries)[1].seat = "9F";
  books_.seats[1].seat = "9F";
  answers_[2].seat = "9F";
  EXPECT_THAT(Find(), ElementsAre("seat 9F was not for sale"));
}

TEST_F(CompareTest, SeatSoldToTwoBuyers_IsFound) {
  Sell(3, "1A");
  answers_[3] = Bought(3, "1A");
  EXPECT_THAT(Find(), Contains("seat 1A is sold twice"));
}

TEST_F(CompareTest, BuyerWithTwoSeats_IsFound) {
  books_.seats[1].buyer = "buyer-1";
  EXPECT_THAT(Find(), Contains("buyer-1 has two seats"));
}

TEST_F(CompareTest, SeatLeftThoughSomebodyCouldPay_IsFound) {
  UndoBuyerTwo();
  answers_[2] = AnswerOf(2, Told::kSoldOut);
  EXPECT_THAT(Find(), ElementsAre("1 seats are sold, it should be 2",
                                  "buyer-2 was told \"sold out\", and 1 seats are free",
                                  "buyer-3 was told \"sold out\", and 1 seats are free"));
}

TEST_F(CompareTest, FewerBuyersWhoCanPayThanSeats_Agrees) {
  plan_.buyers = 3;  // of whom two can
  plan_.seats = 5;
  answers_.pop_back();
  books_.balances.erase("buyer-3");
  books_.points.erase("buyer-3");
  EXPECT_THAT(Find(), IsEmpty());
}

// --- Payments and points ---

TEST_F(CompareTest, SeatThatIsNotPaidFor_IsFound) {
  books_.payments.pop_back();
  books_.balances["buyer-2"] += kPrice;
  EXPECT_THAT(Find(), ElementsAre("seat 1B is sold and not paid for"));
}

TEST_F(CompareTest, SeatThatGaveNoPoints_IsFound) {
  books_.earned.pop_back();
  books_.points["buyer-2"] -= kPoints;
  EXPECT_THAT(Find(), ElementsAre("seat 1B is sold and gave no points"));
}

TEST_F(CompareTest, PaymentWithoutASeat_IsFound) {
  books_.payments.push_back({"1.2.3", "buyer-3", "1B", kPrice});
  books_.balances["buyer-3"] -= kPrice;
  EXPECT_THAT(Find(), ElementsAre("payment of buyer-3 without a seat: 1B, 1.2.3"));
}

TEST_F(CompareTest, PointsWithoutASeat_AreFound) {
  books_.earned.push_back({"1.2.3", "buyer-3", "9F", kPoints});
  books_.points["buyer-3"] += kPoints;
  EXPECT_THAT(Find(),
              ElementsAre("entry of points of buyer-3 without a seat: 9F, 1.2.3"));
}

TEST_F(CompareTest, SeatPaidForTwice_IsFound) {
  books_.payments.push_back({"1.2.9", "buyer-2", "1B", kPrice});
  books_.balances["buyer-2"] -= kPrice;
  EXPECT_THAT(Find(), ElementsAre("a second payment for seat 1B: 1.2.9"));
}

TEST_F(CompareTest, AnotherPrice_IsFound) {
  books_.payments[1].amount = kPrice - 1;
  books_.balances["buyer-2"] += 1;
  EXPECT_THAT(Find(), ElementsAre("payment of 2499: 1.2.2"));
}

TEST_F(CompareTest, PaymentAndPointsOfDifferentTransactions_AreFound) {
  books_.earned[1].gtid = "1.2.9";
  EXPECT_THAT(Find(),
              ElementsAre("seat 1B was paid for by 1.2.2, its points are of 1.2.9"));
}

// --- Accounts ---

TEST_F(CompareTest, BalancesOffByACentEach_AreFoundThoughTheSumIsRight) {
  books_.balances["buyer-1"] += 1;
  books_.balances["buyer-3"] -= 1;
  EXPECT_THAT(Find(), ElementsAre("account of buyer-1: 7501, it should be 7500",
                                  "account of buyer-3: 9999, it should be 10000"));
}

TEST_F(CompareTest, PointsThatNoEntryExplains_AreFound) {
  books_.points["buyer-3"] = kPoints;
  EXPECT_THAT(Find(), ElementsAre("points of buyer-3: 25, it should be 0"));
}

TEST_F(CompareTest, AccountThatIsGone_IsFound) {
  books_.balances.erase("buyer-3");
  EXPECT_THAT(Find(), ElementsAre("account of buyer-3: gone",
                                  "there are 3 accounts and 4 members, it should be 4"));
}

TEST_F(CompareTest, MemberTooMany_IsFound) {
  books_.points["buyer-4"] = 0;
  EXPECT_THAT(Find(), ElementsAre("there are 4 accounts and 5 members, it should be 4"));
}

// --- Answers ---

TEST_F(CompareTest, ToldBoughtAndHasNothing_IsFound) {
  UndoBuyerTwo();
  EXPECT_THAT(Find(), Contains("buyer-2 was told of seat 1B and does not have it"));
}

TEST_F(CompareTest, ToldOfAnotherSeat_IsFound) {
  answers_[2].seat = "1A";
  EXPECT_THAT(Find(), ElementsAre("buyer-2 was told of seat 1A and does not have it"));
}

TEST_F(CompareTest, ToldOfAnotherTransaction_IsFound) {
  answers_[2].result.gtid = MakeGtid(9);
  EXPECT_THAT(Find(), ElementsAre("buyer-2 was told of transaction 1.2.9, seat 1B was "
                                  "paid for by 1.2.2"));
}

TEST_F(CompareTest, ToldSoldOutAndHasASeat_IsFound) {
  answers_[2] = AnswerOf(2, Told::kSoldOut);
  EXPECT_THAT(Find(), ElementsAre("buyer-2 was told \"sold out\" and has seat 1B"));
}

TEST_F(CompareTest, ToldTooPoorWithMoneyEnough_IsFound) {
  answers_[3] = AnswerOf(3, Told::kTooPoor);
  EXPECT_THAT(Find(), ElementsAre("buyer-3 was told \"too poor\" and could have paid"));
}

TEST_F(CompareTest, GaveUp_IsFoundWithItsLastError) {
  answers_[3] = AnswerOf(3, Told::kGaveUp);
  answers_[3].tries = 7;
  answers_[3].result.detail = "nobody answers";
  EXPECT_THAT(Find(), ElementsAre("buyer-3 gave up after 7 tries: nobody answers"));
}

TEST_F(CompareTest, Unknown_AgreesWithAllAndWithNothing) {
  answers_[2] = AnswerOf(2, Told::kUnknown);
  EXPECT_THAT(Find(), IsEmpty());
  UndoBuyerTwo();
  answers_[3] = AnswerOf(3, Told::kUnknown);
  // The only error is the seat that is left.
  EXPECT_THAT(Find(), ElementsAre("1 seats are sold, it should be 2"));
}

TEST_F(CompareTest, Unknown_DoneByHalves_IsFound) {
  answers_[2] = AnswerOf(2, Told::kUnknown);
  books_.earned.pop_back();
  books_.points["buyer-2"] -= kPoints;
  EXPECT_THAT(Find(), ElementsAre("seat 1B is sold and gave no points"));
}

TEST_F(CompareTest, BuyerWithoutAnAnswerOrWithTwo_IsFound) {
  answers_[3] = answers_[1];
  EXPECT_THAT(Find(), ElementsAre("4 answers for 4 buyers"));
  answers_.pop_back();
  EXPECT_THAT(Find(), ElementsAre("3 answers for 4 buyers"));
}

}  // namespace
}  // namespace concordat::tickets
