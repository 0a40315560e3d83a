// Two private database servers with a table of accounts each.
#ifndef TESTS_BENCH_COMMIT_SERVERS_H_
#define TESTS_BENCH_COMMIT_SERVERS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/commit/by_hand.h"
#include "tests/bench/commit/cluster.h"
#include "tests/bench/commit/load.h"

namespace concordat::bench {

class Servers {
 public:
  virtual ~Servers() = default;
  // As resources of concordat-rm.
  [[nodiscard]] virtual std::vector<std::string> urls() const = 0;
  [[nodiscard]] virtual MakeWork work() const = 0;
  // Fills in the servers' addresses.
  [[nodiscard]] virtual Figures RunByHand(ByHand words) const = 0;
  // With all their processes, also those that have ended.
  [[nodiscard]] virtual CpuSeconds Cpu() const = 0;
};

// "postgresql", "mariadb", "mariadb-binlog"; null for anything else.
[[nodiscard]] std::unique_ptr<Servers> StartServers(const std::string& database);

// Of a process and its children, those that have ended included.
[[nodiscard]] double TreeCpuSeconds(pid_t pid);

}  // namespace concordat::bench

#endif  // TESTS_BENCH_COMMIT_SERVERS_H_
