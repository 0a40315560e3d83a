// What a benchmark of the whole path runs on: three concordatd and a concordat-rm for
// each resource, as processes.
#ifndef TESTS_BENCH_COMMIT_CLUSTER_H_
#define TESTS_BENCH_COMMIT_CLUSTER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/processes.h"

namespace concordat::bench {

struct ClusterWords {
  std::string bin;  // a build folder
  std::string dir;  // for the data
  // URLs; the resources are bank-0, bank-1, … Empty: two KV shards.
  std::vector<std::string> resources;
};

// Processor seconds by process.
using CpuSeconds = std::map<std::string, double>;

class Cluster {
 public:
  // Everything is up and ready.
  explicit Cluster(const ClusterWords& words);

  void StartNode(int id);
  void KillNode(int id) { nodes_[id]->Kill(); }
  // The id of the node with this client address; 0: none.
  [[nodiscard]] int NodeAt(const std::string& client_address) const;

  [[nodiscard]] const std::vector<std::string>& clients() const { return clients_; }
  [[nodiscard]] const std::string& dir() const { return dir_.path(); }
  [[nodiscard]] CpuSeconds Cpu() const;

 private:
  void StartParticipant(size_t i, const std::string& url);

  const std::string bin_;
  testing::TempDir dir_;
  std::vector<std::string> clients_;
  std::vector<std::string> members_;
  std::map<int, std::unique_ptr<testing::Child>> nodes_;
  std::vector<std::unique_ptr<testing::Child>> participants_;
};

// One line: what each has used between the two, a transaction.
void PrintCpu(const CpuSeconds& before, const CpuSeconds& after, double transactions);

}  // namespace concordat::bench

#endif  // TESTS_BENCH_COMMIT_CLUSTER_H_
