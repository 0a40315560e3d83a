// WatermarkKeeper: when outcomes may be forgotten.
//
// A gtid is young while it was handed out less than the retention ago: its client may
// not even have asked for commit. The leader remembers roughly when it handed out
// which; those of earlier terms count as handed out when it began to lead.
#ifndef COORDINATOR_TXN_RETENTION_H_
#define COORDINATOR_TXN_RETENTION_H_

#include <deque>
#include <optional>

#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/options.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

class WatermarkKeeper {
 public:
  WatermarkKeeper(const CoreOptions& options, const TransactionTable& table)
      : options_(options), table_(table) {}

  void BeginTerm(Term term, Timestamp now);
  // `last` is the highest gtid handed out so far.
  void OnHandedOut(const Gtid& last, Timestamp now);
  void EndTerm();

  // The watermark to propose now, if it is time and there is one.
  [[nodiscard]] std::optional<Gtid> Tick(Timestamp now);
  [[nodiscard]] Timestamp NextTimer() const { return next_check_; }

 private:
  // All gtids up to `last` had been handed out by `until`.
  struct Checkpoint {
    Timestamp begun;
    Timestamp until;
    Gtid last;
  };
  // The last gtid that was handed out at least that long ago.
  [[nodiscard]] std::optional<Gtid> OlderThan(Duration age, Timestamp now) const;

  const CoreOptions& options_;
  const TransactionTable& table_;
  std::deque<Checkpoint> checkpoints_;
  Timestamp next_check_ = Timestamp::Infinite();
  Gtid proposed_;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_RETENTION_H_
