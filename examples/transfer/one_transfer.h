// One transfer from its first attempt to its client's answer, on the client's loop:
//
//   begin -> read (what needs balances) -> write everywhere -> commit -> told
//     ^                 |                        |                |
//     └──── aborted: roll back, pause, again ────┴────────────────┘
//
// A refused debit rolls back and is an answer. UNKNOWN is an answer too: such a transfer
// is never tried again, because it may have been done.
#ifndef EXAMPLES_TRANSFER_ONE_TRANSFER_H_
#define EXAMPLES_TRANSFER_ONE_TRANSFER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "coordinator/client/async_client.h"
#include "examples/transfer/book.h"
#include "examples/transfer/ledger.h"
#include "examples/transfer/resource_access.h"
#include "examples/transfer/statistics.h"
#include "examples/transfer/work.h"

namespace concordat::transfer {

// What all transfers of a run share. All of it must outlive them.
struct Surroundings {
  client::AsyncClient* client = nullptr;
  const Book* book = nullptr;
  std::vector<const ResourceAccess*> access;  // for each of the book's resources
  CommitMode mode = CommitMode::kDecided;
  Statistics* statistics = nullptr;
  // A transfer that aborts again and again is given up after this time.
  Duration give_up = Duration::Seconds(60);
};

// For the loop's thread. The object keeps itself alive until it has ended.
class OneTransfer : public std::enable_shared_from_this<OneTransfer> {
 public:
  using Done = std::function<void(LedgerEntry)>;
  static void Start(const Surroundings* surroundings, uint64_t number, Work work,
                    Done done);

 private:
  OneTransfer(const Surroundings* surroundings, uint64_t number, Work work, Done done);

  // For each resource, by its number, indexes into a list of accounts.
  using ByResource = std::map<size_t, std::vector<size_t>>;
  using OnReply = std::function<absl::Status(size_t resource, const wire::ExecuteReply&)>;

  void Begin();
  void Read();
  void TakeBalances(const std::vector<size_t>& reads, const std::vector<Money>& balances);
  void Plan();
  void Write();
  void Commit();
  void OnOutcome(const client::CommitResult& result);
  // Sends one call to each resource. `next` is called when all have answered OK.
  void ExecuteAll(std::map<size_t, wire::ExecuteRequest> requests, OnReply on_reply,
                  void (OneTransfer::*next)());
  void Fail(const absl::Status& status, const std::string& cause);
  void RollBack();
  void Retry(const std::string& cause);
  void End(Told told);
  [[nodiscard]] size_t ResourceOf(const AccountId& id) const;

  const Surroundings& with_;
  const uint64_t number_;
  const Work work_;
  Done done_;
  const Timestamp begun_;
  Random random_;
  int tries_ = 0;
  Gtid age_;  // the gtid of the first attempt, whose age the others keep

  // Of the current attempt.
  client::AsyncClient::TransactionPtr transaction_;
  std::vector<AccountId> reads_;
  std::vector<Money> balances_;
  std::vector<AccountOperation> operations_;
  std::vector<Change> changes_;
  size_t unanswered_ = 0;
  absl::Status failure_;
  std::string failure_cause_;
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_ONE_TRANSFER_H_
