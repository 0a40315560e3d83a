// Counts and times of the transfers while they run, and what each fault cost the
// clients. A transfer's time is its client's: from the first try to the answer, with
// all tries between.
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
  // A try that aborted and is made again; the cause in words.
  void RecordRetry(const std::string& cause);
  size_t BeginFault(Timestamp now) override;
  void EndFault(size_t fault, Timestamp now) override;

  [[nodiscard]] Counts counts() const;
  [[nodiscard]] std::map<std::string, uint64_t> retries() const;
  // The longest that a client waited for an answer, of the transfers that were under
  // way at the kill or began before the process was back.
  [[nodiscard]] Duration LongestWait(size_t fault) const;
  // Of all transfers, and of those that have ended since the last call.
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
  std::vector<int64_t> micros_ ABSL_GUARDED_BY(mutex_);
  size_t seen_ ABSL_GUARDED_BY(mutex_) = 0;  // by the last Recent()
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_STATISTICS_H_
