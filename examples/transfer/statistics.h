// Counts and times of the transfers during the run, and what each fault costs the
// clients. The time of a transfer is from its first attempt to the answer, including all
// attempts.
#ifndef EXAMPLES_TRANSFER_STATISTICS_H_
#define EXAMPLES_TRANSFER_STATISTICS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"
#include "examples/processes/nemesis.h"
#include "examples/processes/percentiles.h"
#include "examples/transfer/ledger.h"

namespace concordat::transfer {

struct Counts {
  uint64_t committed = 0;
  uint64_t refused = 0;
  uint64_t aborted = 0;
  uint64_t unknown = 0;

  [[nodiscard]] uint64_t finished() const {
    return committed + refused + aborted + unknown;
  }
};

// Thread-safe.
class Statistics final : public example::FaultWatch {
 public:
  void RecordEnd(Timestamp begin, Timestamp end, Told told);
  // An attempt has aborted and is repeated. `cause` is a text.
  void RecordRetry(const std::string& cause);
  size_t BeginFault(Timestamp now) override;
  void EndFault(size_t fault, Timestamp now) override;

  [[nodiscard]] Counts counts() const;
  [[nodiscard]] std::map<std::string, uint64_t> retries() const;
  // The longest wait of a client for an answer, among the transfers that were under way
  // at the kill or began before the process was back.
  [[nodiscard]] Duration LongestWait(size_t fault) const;
  // Of all transfers; and of those that have ended since the last call of Recent.
  [[nodiscard]] example::Percentiles Overall() const;
  [[nodiscard]] example::Percentiles Recent();

 private:
  struct Fault {
    Timestamp begin;
    Timestamp end = Timestamp::Infinite();
    Duration longest_wait;
  };

  mutable Mutex mutex_;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> retries_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> micros_ ABSL_GUARDED_BY(mutex_);  // of each transfer
  size_t seen_ ABSL_GUARDED_BY(mutex_) = 0;  // how many the last Recent() has seen
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_STATISTICS_H_
