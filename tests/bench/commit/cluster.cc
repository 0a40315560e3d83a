#include "tests/bench/commit/cluster.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"

namespace concordat::bench {

using testing::Child;
using testing::FreePort;

Cluster::Cluster(const ClusterWords& words) : bin_(words.bin), dir_(words.dir) {
  for (int i = 1; i <= 3; ++i) {
    clients_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
    members_.push_back(absl::StrCat(i, "=127.0.0.1:", FreePort(), "/", clients_.back()));
  }
  for (int i = 1; i <= 3; ++i) StartNode(i);
  for (size_t i = 0; i < 2 && words.resources.empty(); ++i) {
    StartParticipant(i, absl::StrCat("kv://", dir_.path(), "/bank-", i));
  }
  for (size_t i = 0; i < words.resources.size(); ++i) {
    StartParticipant(i, words.resources[i]);
  }
}

void Cluster::StartNode(int id) {
  nodes_[id] = std::make_unique<Child>(
      std::vector<std::string>{
          bin_ + "/coordinator/daemon/concordatd", "--id", absl::StrCat(id), "--members",
          absl::StrJoin(members_, ","), "--data-dir",
          absl::StrCat(dir_.path(), "/node-", id), "--log-level", "info"},
      absl::StrCat(dir_.path(), "/node-", id, ".log"));
  CONCORDAT_CHECK(nodes_[id]->WaitForLine("ready: clients", 10)) << "node " << id;
}

void Cluster::StartParticipant(size_t i, const std::string& url) {
  participants_.push_back(std::make_unique<Child>(
      std::vector<std::string>{bin_ + "/participant/daemon/concordat-rm", "--listen",
                               absl::StrCat("127.0.0.1:", FreePort()), "--coordinators",
                               absl::StrJoin(clients_, ","), "--resource",
                               absl::StrCat("bank-", i, "=", url)},
      absl::StrCat(dir_.path(), "/rm-", i, ".log")));
  CONCORDAT_CHECK(participants_.back()->WaitForLine("ready on", 20)) << "rm " << i;
}

int Cluster::NodeAt(const std::string& client_address) const {
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i] == client_address) return static_cast<int>(i) + 1;
  }
  return 0;
}

CpuSeconds Cluster::Cpu() const {
  CpuSeconds all;
  for (const auto& [id, node] : nodes_) {
    all[absl::StrCat("concordatd-", id)] = node->CpuSeconds();
  }
  for (size_t i = 0; i < participants_.size(); ++i) {
    all[absl::StrCat("concordat-rm-", i + 1)] = participants_[i]->CpuSeconds();
  }
  return all;
}

void PrintCpu(const CpuSeconds& before, const CpuSeconds& after, double transactions) {
  std::printf("    processor time a transaction:");
  for (const auto& [name, seconds] : after) {
    std::printf(" %s %.1f us", name.c_str(),
                (seconds - before.at(name)) * 1e6 / std::max(transactions, 1.0));
  }
  std::printf("\n");
}

}  // namespace concordat::bench
