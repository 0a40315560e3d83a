#include "examples/tickets/compare.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::tickets {

namespace {

using EntriesBySeat = std::map<std::string, const Entry*>;

class Comparison {
 public:
  Comparison(const Plan& plan, const Books& books) : plan_(plan), books_(books) {}

  std::vector<std::string> Run(const std::vector<Answer>& answers) {
    CheckSeats();
    payments_ = CheckEntries("payment", books_.payments, kPrice);
    earned_ = CheckEntries("entry of points", books_.earned, kPoints);
    for (const auto& [seat, buyer] : sold_) CheckSameTransaction(seat);
    CheckAccounts();
    CheckAnswers(answers);
    return std::move(findings_);
  }

 private:
  template <class... Parts>
  void Find(const Parts&... parts) {
    findings_.push_back(absl::StrCat(parts...));
  }

  void CheckSeats() {
    std::set<std::string> known;
    for (size_t seat = 0; seat < plan_.seats; ++seat) known.insert(SeatName(seat));
    for (const SeatRow& row : books_.seats) {
      if (row.state != "confirmed") Find("seat ", row.seat, " is still ", row.state);
      if (!known.contains(row.seat)) Find("seat ", row.seat, " was not for sale");
      if (!sold_.emplace(row.seat, row.buyer).second) {
        Find("seat ", row.seat, " is sold twice");
      }
      if (!seat_of_.emplace(row.buyer, row.seat).second) {
        Find(row.buyer, " has two seats");
      }
    }
    const size_t wanted = std::min(plan_.seats, plan_.rich());
    if (sold_.size() != wanted) {
      Find(sold_.size(), " seats are sold, it should be ", wanted);
    }
  }

  EntriesBySeat CheckEntries(const char* kind, const std::vector<Entry>& entries,
                             int64_t amount) {
    EntriesBySeat by_seat;
    for (const Entry& entry : entries) {
      const auto seat = sold_.find(entry.seat);
      if (seat == sold_.end() || seat->second != entry.buyer) {
        Find(kind, " of ", entry.buyer, " without a seat: ", entry.seat, ", ",
             entry.gtid);
      } else if (!by_seat.emplace(entry.seat, &entry).second) {
        Find("a second ", kind, " for seat ", entry.seat, ": ", entry.gtid);
      }
      if (entry.amount != amount) Find(kind, " of ", entry.amount, ": ", entry.gtid);
    }
    return by_seat;
  }

  void CheckSameTransaction(const std::string& seat) {
    const auto payment = payments_.find(seat);
    const auto points = earned_.find(seat);
    if (payment == payments_.end()) Find("seat ", seat, " is sold and not paid for");
    if (points == earned_.end()) Find("seat ", seat, " is sold and gave no points");
    if (payment == payments_.end() || points == earned_.end()) return;
    if (payment->second->gtid != points->second->gtid) {
      Find("seat ", seat, " was paid for by ", payment->second->gtid,
           ", its points are of ", points->second->gtid);
    }
  }

  static std::map<std::string, int64_t> SumByBuyer(const std::vector<Entry>& entries) {
    std::map<std::string, int64_t> sums;
    for (const Entry& entry : entries) sums[entry.buyer] += entry.amount;
    return sums;
  }

  void CheckAccounts() {
    std::map<std::string, int64_t> paid = SumByBuyer(books_.payments);
    std::map<std::string, int64_t> earned = SumByBuyer(books_.earned);
    for (size_t buyer = 0; buyer < plan_.buyers; ++buyer) {
      const std::string name = BuyerName(buyer);
      CheckAccount("account", books_.balances, name, plan_.Opening(buyer) - paid[name]);
      CheckAccount("points", books_.points, name, earned[name]);
    }
    if (books_.balances.size() != plan_.buyers || books_.points.size() != plan_.buyers) {
      Find("there are ", books_.balances.size(), " accounts and ", books_.points.size(),
           " members, it should be ", plan_.buyers);
    }
  }

  void CheckAccount(const char* kind, const std::map<std::string, int64_t>& accounts,
                    const std::string& name, int64_t wanted) {
    const auto found = accounts.find(name);
    if (found == accounts.end()) return Find(kind, " of ", name, ": gone");
    if (found->second == wanted) return;
    Find(kind, " of ", name, ": ", found->second, ", it should be ", wanted);
  }

  void CheckAnswers(const std::vector<Answer>& answers) {
    std::set<size_t> buyers;
    for (const Answer& answer : answers) {
      buyers.insert(answer.buyer);
      CheckAnswer(answer);
    }
    if (buyers.size() != plan_.buyers || answers.size() != plan_.buyers) {
      Find(answers.size(), " answers for ", plan_.buyers, " buyers");
    }
  }

  void CheckAnswer(const Answer& answer) {
    const std::string name = BuyerName(answer.buyer);
    const auto seat = seat_of_.find(name);
    if (answer.told == Told::kBought) return CheckBought(answer, name);
    if (answer.told != Told::kUnknown && seat != seat_of_.end()) {
      Find(name, " was told \"", ToString(answer.told), "\" and has seat ", seat->second);
    }
    if (answer.told == Told::kTooPoor && !plan_.IsPoor(answer.buyer)) {
      Find(name, " was told \"too poor\" and could have paid");
    }
    if (answer.told == Told::kSoldOut && sold_.size() < plan_.seats) {
      Find(name, " was told \"sold out\", and ", plan_.seats - sold_.size(),
           " seats are free");
    }
    // No buyer should give up: even with kills the patience is long enough.
    if (answer.told == Told::kGaveUp) {
      Find(name, " gave up after ", answer.tries, " tries: ", answer.result.detail);
    }
  }

  void CheckBought(const Answer& answer, const std::string& name) {
    const auto seat = seat_of_.find(name);
    if (seat == seat_of_.end() || seat->second != answer.seat) {
      return Find(name, " was told of seat ", answer.seat, " and does not have it");
    }
    const auto payment = payments_.find(answer.seat);
    const std::string gtid = ToString(answer.result.gtid);
    if (payment != payments_.end() && payment->second->gtid != gtid) {
      Find(name, " was told of transaction ", gtid, ", seat ", answer.seat,
           " was paid for by ", payment->second->gtid);
    }
  }

  const Plan& plan_;
  const Books& books_;
  std::map<std::string, std::string> sold_;     // seat to buyer
  std::map<std::string, std::string> seat_of_;  // buyer to seat
  EntriesBySeat payments_;
  EntriesBySeat earned_;
  std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> Compare(const Plan& plan, const std::vector<Answer>& answers,
                                 const Books& books) {
  return Comparison(plan, books).Run(answers);
}

}  // namespace concordat::tickets
