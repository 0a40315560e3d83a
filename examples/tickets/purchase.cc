#include "examples/tickets/purchase.h"

#include <chrono>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"

namespace concordat::tickets {

namespace {

using client::IntegerValue;
using client::TextValue;

void Sleep(Duration duration) {
  std::this_thread::sleep_for(std::chrono::microseconds(duration.micros()));
}

class Purchase {
 public:
  Purchase(const Plan& plan, size_t buyer, const Habits& habits, uint64_t seed)
      : plan_(plan), name_(BuyerName(buyer)), habits_(habits), random_(seed) {
    answer_.buyer = buyer;
  }

  Answer Run(client::Client* client) {
    const SystemClock clock;
    const Timestamp start = clock.Now();
    do {
      answer_.result =
          client->Run([this](client::Transaction& t) { return BuyOnce(&t); });
      answer_.told = Conclude();
      answer_.took = clock.Now() - start;
      const bool trouble =
          answer_.told == Told::kGaveUp || answer_.told == Told::kUnknown;
      if (trouble && habits_.on_trouble) habits_.on_trouble(answer_.result.detail);
      if (answer_.told == Told::kUnknown) AskUntil(client, start + habits_.patience);
      if (answer_.told != Told::kGaveUp) return answer_;
      Sleep(Duration::Millis(random_.Between(20, 60)));
    } while (answer_.took < habits_.patience);
    return answer_;
  }

 private:
  // To buy again instead could buy twice.
  void AskUntil(client::Client* client, Timestamp give_up) {
    answer_.was_unknown = true;
    while (answer_.told == Told::kUnknown && SystemClock().Now() < give_up) {
      Sleep(Duration::Millis(100));
      answer_.result = client->Ask(answer_.result);
      answer_.told = Conclude();
    }
  }

  absl::Status BuyOnce(client::Transaction* t) {
    ++answer_.tries;
    answer_.seat.clear();
    refusal_.reset();
    if (absl::Status s = TakeSeat(t); !s.ok()) return s;
    Sleep(Duration::Micros(random_.Between(0, habits_.longest_thought.micros())));
    if (absl::Status s = Pay(t); !s.ok()) return s;
    return Earn(t);
  }

  // A refusal is final even if the rollback was not answered: no commit was requested.
  [[nodiscard]] Told Conclude() const {
    if (answer_.result.committed()) return Told::kBought;
    if (refusal_) return *refusal_;
    return answer_.result.outcome == Outcome::kUnknown ? Told::kUnknown : Told::kGaveUp;
  }

  absl::Status Refuse(Told told) {
    refusal_ = told;
    return absl::FailedPreconditionError(ToString(told));
  }

  static absl::StatusOr<std::string> Ask(client::Transaction* t, std::string request) {
    wire::ExecuteRequest work;
    work.__set_opaque(std::move(request));
    const wire::ExecuteReply reply = t->Execute(kSeats, work);
    if (reply.result.code != wire::Code::OK) return client::ToStatus(reply.result);
    return reply.opaque;
  }

  absl::Status TakeSeat(client::Transaction* t) {
    const auto list = Ask(t, "list");
    if (!list.ok()) return list.status();
    std::istringstream lines(*list);
    std::set<std::string> taken;
    size_t sold = 0;
    for (std::string seat, state, buyer; lines >> seat >> state >> buyer;) {
      taken.insert(seat);
      sold += state == "confirmed" ? 1 : 0;
    }
    if (sold >= plan_.seats) return Refuse(Told::kSoldOut);
    std::vector<std::string> free;
    for (size_t seat = 0; seat < plan_.seats; ++seat) {
      if (!taken.contains(SeatName(seat))) free.push_back(SeatName(seat));
    }
    if (free.empty()) return absl::AbortedError("every seat that is left is held");
    answer_.seat = free[random_.Below(free.size())];
    const absl::Status held =
        Ask(t, absl::StrCat("book ", answer_.seat, " ", name_)).status();
    // The seat was taken after the list was read; another one may be free.
    return absl::IsFailedPrecondition(held) ? absl::AbortedError(held.message()) : held;
  }

  // Runs the statement, and returns how many rows it has changed.
  static absl::StatusOr<int64_t> Change(client::Transaction* t,
                                        const std::string& resource, std::string sql,
                                        std::vector<wire::Value> parameters) {
    const auto result =
        t->Sql(resource, client::Sql(std::move(sql), std::move(parameters)));
    if (!result.ok()) return result.status();
    return result->changed;
  }

  absl::Status Pay(client::Transaction* t) {
    const auto debit = Change(t, kPayments,
                              "UPDATE accounts SET balance = balance - $1 "
                              "WHERE buyer = $2 AND balance >= $1",
                              {IntegerValue(kPrice), TextValue(name_)});
    if (!debit.ok()) return debit.status();
    if (*debit == 0) return Refuse(Told::kTooPoor);
    return Change(t, kPayments, "INSERT INTO payments VALUES ($1, $2, $3, $4)",
                  {TextValue(ToString(t->gtid())), TextValue(name_),
                   TextValue(answer_.seat), IntegerValue(kPrice)})
        .status();
  }

  absl::Status Earn(client::Transaction* t) {
    const auto credit =
        Change(t, kLoyalty, "UPDATE members SET points = points + ? WHERE buyer = ?",
               {IntegerValue(kPoints), TextValue(name_)});
    if (!credit.ok()) return credit.status();
    if (*credit == 0) return absl::InternalError(absl::StrCat(name_, " is no member"));
    return Change(t, kLoyalty, "INSERT INTO earned VALUES (?, ?, ?, ?)",
                  {TextValue(ToString(t->gtid())), TextValue(name_),
                   TextValue(answer_.seat), IntegerValue(kPoints)})
        .status();
  }

  const Plan& plan_;
  const std::string name_;
  const Habits habits_;
  Random random_;
  std::optional<Told> refusal_;
  Answer answer_;
};

}  // namespace

const char* ToString(Told told) {
  switch (told) {
    case Told::kBought:
      return "bought";
    case Told::kSoldOut:
      return "sold out";
    case Told::kTooPoor:
      return "too poor";
    case Told::kUnknown:
      return "unknown";
    case Told::kGaveUp:
      break;
  }
  return "gave up";
}

Answer Buy(client::Client* client, const Plan& plan, size_t buyer, const Habits& habits,
           uint64_t seed) {
  return Purchase(plan, buyer, habits, seed).Run(client);
}

}  // namespace concordat::tickets
