// Times and limits of the transaction core. The defaults are those of the daemon.
#ifndef COORDINATOR_TXN_OPTIONS_H_
#define COORDINATOR_TXN_OPTIONS_H_

#include <cstddef>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::txn {

struct CoreOptions {
  // From the commit request to the abort, when the request names none, and at most.
  Duration default_timeout = Duration::Seconds(10);
  Duration max_timeout = Duration::Seconds(600);

  // PREPARE, COMMIT and ROLLBACK are sent again after this long without an answer,
  // doubled each time. After UNAVAILABLE the sequence begins lower.
  Duration first_resend = Duration::Millis(500);
  Duration first_retry = Duration::Millis(50);
  Duration max_resend = Duration::Seconds(5);
  // Tries for a branch that does not belong to the set: it also asks by itself.
  uint32_t unlisted_attempts = 8;

  // A request that finds no outcome is answered "undecided, ask again" after this.
  Duration client_wait = Duration::Seconds(30);
  Duration inquiry_wait = Duration::Millis(500);
  // Before the leader's own entry is applied: how long and how many may wait.
  Duration not_ready_wait = Duration::Seconds(2);
  size_t max_not_ready = 20000;

  // ENDED is written for this many gtids, or when the oldest has waited this long.
  size_t ended_batch = 256;
  Duration ended_wait = Duration::Millis(100);

  // Outcomes are kept for `retention`; under pressure of numbers for less, but never
  // for less than `min_retention`, which is also the time to use a gtid in.
  Duration retention = Duration::Seconds(600);
  Duration min_retention = Duration::Seconds(120);
  size_t max_retained = 4'000'000;
  Duration watermark_interval = Duration::Seconds(5);

  // What one output holds at most of what is due or inherited: so many transactions'
  // work. The rest comes with the next Tick (Core::HasMoreWork).
  size_t max_work_per_output = 1000;

  size_t max_branches = 128;         // in one transaction
  size_t max_in_progress = 100'000;  // transactions; more are refused before PREPARE
  uint32_t max_gtid_block = 10'000;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_OPTIONS_H_
