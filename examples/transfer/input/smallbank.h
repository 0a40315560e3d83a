// SmallBank: customers with a savings and a checking account each, and six kinds of
// transaction. Defined by Alomari, Cahill, Fekete and Röhm, "The Cost of
// Serializability on Platforms That Use Snapshot Isolation" (ICDE 2008), section III;
// the mix and the constant amounts are H-Store's, which OLTP-Bench has too.
//
//   absl::StatusOr<SmallBank> bank = SmallBank::Make(options);
//   LoadAccounts(bank->OpeningAccounts());
//   SmallBankStream stream(&*bank, seed);          // one for each client
//   const SmallBankTransaction t = stream.Next();
//   std::vector<Money> balances = ReadWithLocks(t.Reads());
//   absl::StatusOr<SmallBankPlan> plan = t.Plan(balances);
//   if (CommitAll(plan->writes)) total = *Add(total, plan->net);
//
// Deposits, withdrawals and checks change the total of the bank, and a plan's net says
// exactly by how much. So the total before and the nets of the committed transactions
// give the total after, to the cent.
//
// Where the definitions differ, this follows the paper: Amalgamate takes savings and
// checking of the first customer (OLTP-Bench takes one of the two balances, and loses
// money), an overdrawn check costs one unit more, and savings have both deposits and
// withdrawals.
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
  // Customer n has both accounts at bank n modulo the number of banks.
  std::vector<std::string> banks;
  uint64_t customers = 1000;
  SmallBankMix mix = kStandardMix;
  // The first hot_customers customers are the hot spot: hot_percent of the transactions
  // are about them, the others about the rest. 0 customers: no hot spot.
  uint64_t hot_customers = 0;
  uint32_t hot_percent = 90;
  Scale scale = Scale(2);
  // For the opening balances, which do not depend on the streams' seeds.
  uint64_t seed = 1;
};

// A change of one account. Either all operations of a transaction are done, or none.
struct AccountOperation {
  enum class Kind : uint8_t {
    kAdd,           // add amount, which may be negative
    kAddIfAtLeast,  // add amount; roll back if the balance would be negative
    kSet,           // set the balance to amount; the row was read and locked before
  };
  Kind kind = Kind::kAdd;
  AccountId account;
  Money amount;

  friend bool operator==(const AccountOperation&, const AccountOperation&) = default;
};

struct SmallBankPlan {
  std::vector<AccountOperation> writes;  // in this order
  Money net;  // the change of the total of all balances when this commits
};

class SmallBank;

struct SmallBankTransaction {
  SmallBankKind kind = SmallBankKind::kBalance;
  AccountId savings;         // of the first customer
  AccountId checking;        // of the first customer
  AccountId other_checking;  // of the second; empty unless kind has a second
  Money amount;              // negative for a withdrawal
  Money penalty;             // of an overdrawn check

  // The accounts whose balances the plan needs, or which the customer wants to know.
  [[nodiscard]] std::vector<AccountId> Reads() const;

  // What to do. `balances` are those of Reads(), in the same order (their number is
  // checked). OUT_OF_RANGE: a balance would overflow; roll back.
  [[nodiscard]] absl::StatusOr<SmallBankPlan> Plan(
      const std::vector<Money>& balances) const;
};

// The customers and their accounts. Immutable, and so thread-safe.
class SmallBank {
 public:
  // INVALID_ARGUMENT, with the reason: there is no bank, a name has a colon, the mix does
  // not add up to 100, there are fewer than two customers inside or outside of the hot
  // spot, or a percentage is above 100.
  [[nodiscard]] static absl::StatusOr<SmallBank> Make(SmallBankOptions options);

  [[nodiscard]] const SmallBankOptions& options() const { return options_; }
  [[nodiscard]] AccountId Savings(uint64_t customer) const;
  [[nodiscard]] AccountId Checking(uint64_t customer) const;

  // All accounts with their opening balances: 10,000 to 50,000, as in H-Store.
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
  // Two different customers, both inside or both outside of the hot spot.
  [[nodiscard]] std::pair<uint64_t, uint64_t> DrawCustomers();

  const SmallBank* const bank_;
  Random random_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_SMALLBANK_H_
