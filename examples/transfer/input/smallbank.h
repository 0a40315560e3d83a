// SmallBank: customers with a savings and a checking account each, and six kinds of
// transaction. Defined by Alomari, Cahill, Fekete and Röhm, "The Cost of
// Serializability on Platforms That Use Snapshot Isolation" (ICDE 2008), section III;
// the mix and the constant amounts are H-Store's, which OLTP-Bench has too.
//
//   SmallBank bank(options);                       // load bank.OpeningAccounts()
//   SmallBankStream stream(&bank, seed);           // one a client
//   const SmallBankTransaction t = stream.Next();
//   read t.Reads() under locks;  const auto plan = t.Plan(balances);
//   carry out plan->writes, commit;  if COMMITTED: total += plan->net
//
// Deposits, withdrawals and checks move money across the edge of the bank; a plan's
// net says exactly how much, so that money before + nets of the committed = money
// after, to the cent.
//
// Where the definitions differ the paper counts: Amalgamate takes savings and checking
// of the first customer (OLTP-Bench takes one balance of either, and loses money), an
// overdrawn check costs one unit more, savings see deposits and withdrawals alike.
#ifndef EXAMPLES_TRANSFER_INPUT_SMALLBANK_H_
#define EXAMPLES_TRANSFER_INPUT_SMALLBANK_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/random.h"
#include "examples/transfer/input/account.h"
#include "examples/transfer/input/money.h"

namespace concordat::transfer {

enum class SmallBankKind : uint8_t {
  kBalance,          // read both accounts of a customer
  kDepositChecking,  // put money on checking
  kTransactSavings,  // put money on savings, or take it off if it is there
  kAmalgamate,       // all of one customer's money to another's checking
  kWriteCheck,       // take money off checking, with a penalty if there is not enough
  kSendPayment,      // from one customer's checking to another's, if it is there
};
inline constexpr size_t kSmallBankKinds = 6;

// "Balance", "DepositChecking", ...
[[nodiscard]] std::string_view ToString(SmallBankKind kind);

// In percent, in the order of SmallBankKind.
using SmallBankMix = std::array<uint32_t, kSmallBankKinds>;
inline constexpr SmallBankMix kStandardMix = {15, 15, 15, 15, 15, 25};

struct SmallBankOptions {
  // Customer n keeps both accounts at bank n modulo their number.
  std::vector<std::string> banks;
  uint64_t customers = 1000;
  SmallBankMix mix = kStandardMix;
  // The first so many customers are in the hot spot, to which so many percent of the
  // transactions go; the others go to the rest. 0 customers: no hot spot.
  uint64_t hot_customers = 0;
  uint32_t hot_percent = 90;
  Scale scale = Scale(2);
  // Of the opening balances. They do not depend on the streams' seeds.
  uint64_t seed = 1;
};

// What is done to an account. All operations of a transaction happen, or none.
struct AccountOperation {
  enum class Kind : uint8_t {
    kAdd,           // add amount, which may be negative, whatever the balance
    kAddIfAtLeast,  // add amount if the balance is then at least zero, else roll back
    kSet,           // the balance becomes amount; the row was read before, and locked
  };
  Kind kind = Kind::kAdd;
  AccountId account;
  Money amount;

  friend bool operator==(const AccountOperation&, const AccountOperation&) = default;
};

struct SmallBankPlan {
  std::vector<AccountOperation> writes;  // in this order
  Money net;  // what the total of all balances changes by, if this commits
};

class SmallBank;

struct SmallBankTransaction {
  SmallBankKind kind = SmallBankKind::kBalance;
  AccountId savings;         // of the first customer
  AccountId checking;        // of the first customer
  AccountId other_checking;  // of the second; empty unless kind has a second
  Money amount;              // below zero for a withdrawal
  Money penalty;             // of an overdrawn check

  // The accounts whose balances the plan depends on, or that the customer asked for.
  [[nodiscard]] std::vector<AccountId> Reads() const;

  // What to do, given the balances of Reads(), in that order. OUT_OF_RANGE when a
  // balance would overflow: roll back. Programmer's error with another number of
  // balances.
  [[nodiscard]] absl::StatusOr<SmallBankPlan> Plan(
      const std::vector<Money>& balances) const;
};

// The customers and their accounts. Immutable, and so thread-safe.
class SmallBank {
 public:
  // INVALID_ARGUMENT, saying which, when there is no bank or a name with a colon, a
  // mix that is not a hundred, fewer than two customers inside or outside the hot
  // spot, or more percent than a hundred.
  [[nodiscard]] static absl::StatusOr<SmallBank> Make(SmallBankOptions options);

  [[nodiscard]] const SmallBankOptions& options() const { return options_; }
  [[nodiscard]] AccountId Savings(uint64_t customer) const;
  [[nodiscard]] AccountId Checking(uint64_t customer) const;

  // All accounts with what is on them at first: 10,000 to 50,000, as H-Store loads.
  [[nodiscard]] std::vector<std::pair<AccountId, Money>> OpeningAccounts() const;

 private:
  explicit SmallBank(SmallBankOptions options) : options_(std::move(options)) {}
  [[nodiscard]] AccountId Account(std::string_view type, uint64_t customer) const;

  SmallBankOptions options_;
};

// An endless sequence of transactions, the same for the same seed. Not thread-safe.
class SmallBankStream {
 public:
  // The bank must outlive the stream.
  SmallBankStream(const SmallBank* bank, uint64_t seed) : bank_(bank), random_(seed) {}

  [[nodiscard]] SmallBankTransaction Next();

 private:
  [[nodiscard]] SmallBankKind DrawKind();
  // Two different customers, both in the hot spot or both outside.
  [[nodiscard]] std::pair<uint64_t, uint64_t> DrawCustomers();

  const SmallBank* const bank_;
  Random random_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_SMALLBANK_H_
