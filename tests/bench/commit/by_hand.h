// What a careful programmer writes without a coordinator: two-phase commit over two
// databases by hand. For each transaction, BEGIN, UPDATE and PREPARE at both servers at
// once, in as few round trips as the database's protocol allows; then the decision into a
// local file, flushed; then the commit at both at once. No replication, no recovery.
#ifndef TESTS_BENCH_COMMIT_BY_HAND_H_
#define TESTS_BENCH_COMMIT_BY_HAND_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/commit/load.h"

namespace concordat::bench {

struct ByHand {
  std::vector<std::string> urls;  // of the two servers; MariaDB: their sockets
  std::string dir;                // for the file of decisions
  size_t clients = 1;             // a thread and two connections each
  double seconds = 1;
};

// Figures::commit_us is the time to the flushed decision, whole_us to the end of the
// commits. The program ends when a statement fails.
[[nodiscard]] Figures RunPostgresqlByHand(const ByHand& words);
[[nodiscard]] Figures RunMariadbByHand(const ByHand& words);

// What both have in common: the clients' threads, the decisions, the figures.
class HandClient {
 public:
  virtual ~HandClient() = default;
  // Work and PREPARE, at both.
  virtual void Prepare(uint64_t number, const std::string& first_account,
                       const std::string& second_account) = 0;
  // At both.
  virtual void Commit() = 0;
};
[[nodiscard]] Figures RunByHand(
    const ByHand& words,
    const std::function<std::unique_ptr<HandClient>(size_t client)>& make);

}  // namespace concordat::bench

#endif  // TESTS_BENCH_COMMIT_BY_HAND_H_
