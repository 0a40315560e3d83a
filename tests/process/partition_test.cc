// Scenario 86: a network is cut, silently, and healed. In network namespaces of their
// own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/process/cluster.h"
#include "tests/support/processes.h"

namespace concordat::testing {
namespace {

using ::testing::HasSubstr;

int Shell(const std::string& command) {
  return WEXITSTATUS(std::system((command + " >/dev/null 2>&1").c_str()));
}

// Two machines with a cable between them.
class TwoMachines {
 public:
  explicit TwoMachines(const std::string& dir) {
    for (int i = 0; i < 2; ++i) {
      machines_.push_back(std::make_unique<Child>(
          std::vector<std::string>{"/usr/bin/unshare", "--net", "/bin/sleep", "100000"},
          absl::StrCat(dir, "/machine-", i)));
    }
    // The namespace is there when it is no longer ours.
    const std::string other = absl::StrCat(
        "test $(readlink /proc/self/ns/net) != $(readlink /proc/", getpid(), "/ns/net)");
    works_ = WaitUntil(kPatience, [&] { return In(0, other) && In(1, other); });
    works_ = works_ && In(0, absl::StrCat("ip link add cable type veth peer name cable "
                                          "netns ",
                                          machines_[1]->pid()));
    for (int i = 0; works_ && i < 2; ++i) {
      works_ = In(i, "ip link set lo up") && In(i, "ip link set cable up") &&
               In(i, absl::StrCat("ip addr add ", Ip(i), "/24 dev cable"));
    }
  }
  [[nodiscard]] static bool Permitted() {
    return Shell("unshare --net true && command -v ip nsenter") == 0;
  }
  [[nodiscard]] bool works() const { return works_; }
  [[nodiscard]] static std::string Ip(int machine) {
    return absl::StrCat("10.77.0.", machine + 1);
  }
  [[nodiscard]] std::vector<std::string> Enter(int machine) const {
    return {"/usr/bin/nsenter", "--target",
            absl::StrCat(machines_[static_cast<size_t>(machine)]->pid()), "--net"};
  }
  bool In(int machine, const std::string& command) const {
    return Shell(absl::StrCat("nsenter --target ",
                              machines_[static_cast<size_t>(machine)]->pid(),
                              " --net sh -c '", command, "'")) == 0;
  }
  // Packets are lost, and no machine is told.
  void Partition() {
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(In(i, absl::StrCat("ip neigh replace ", Ip(1 - i),
                                     " lladdr 02:00:00:00:00:99 dev cable nud "
                                     "permanent")));
    }
  }
  void Heal() {
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(In(i, absl::StrCat("ip neigh del ", Ip(1 - i), " dev cable")));
    }
  }

 private:
  std::vector<std::unique_ptr<Child>> machines_;
  bool works_ = false;
};

// Nodes 1 and 2 on one machine, node 3 and a participant on the other.
class Partition : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!TwoMachines::Permitted()) {
      GTEST_SKIP() << "no network namespace may be made here";
    }
    machines_ = std::make_unique<TwoMachines>(dir_.path());
    ASSERT_TRUE(machines_->works());
    for (int id = 1; id <= 3; ++id) {
      clients_.push_back(absl::StrCat(TwoMachines::Ip(id / 3), ":", 7000 + id));
      absl::StrAppend(&members_, id == 1 ? "" : ",", id, "=", TwoMachines::Ip(id / 3),
                      ":", 7100 + id, "/", clients_.back());
    }
    for (int id = 1; id <= 3; ++id) {
      Start(id / 3, absl::StrCat("node-", id),
            {Program("coordinator/daemon/concordatd"), "--id", absl::StrCat(id),
             "--members", members_, "--segment-bytes", "4194304", "--data-dir",
             absl::StrCat(dir_.path(), "/node-", id)},
            "ready: clients");
    }
    Start(1, "rm",
          {Program("participant/daemon/concordat-rm"), "--listen",
           TwoMachines::Ip(1) + ":7200", "--coordinators", AllClients(), "--resource",
           absl::StrCat("bank=kv://", dir_.path(), "/bank")},
          "ready on");
  }
  static std::string Program(const std::string& path) {
    return ProgramDir() + "/../../" + path;
  }
  [[nodiscard]] std::string AllClients() const {
    return absl::StrCat(clients_[0], ",", clients_[1], ",", clients_[2]);
  }
  void Start(int machine, const std::string& name, const std::vector<std::string>& words,
             const std::string& ready) {
    std::vector<std::string> all = machines_->Enter(machine);
    all.insert(all.end(), words.begin(), words.end());
    const std::string log = absl::StrCat(dir_.path(), "/", name, ".log");
    std::ofstream(log, std::ios::trunc).close();
    processes_.push_back(std::make_unique<Child>(std::move(all), log));
    ASSERT_TRUE(processes_.back()->WaitForLine(ready, kPatience)) << TextOf(log);
  }
  // What `concordat status` says on a machine of these nodes.
  std::string Status(int machine, const std::string& nodes) const {
    const std::string file = dir_.path() + "/status";
    (void)machines_->In(
        machine, absl::StrCat(Program("coordinator/cli/concordat"), " status -c ", nodes,
                              " --timeout-ms 500 >", file, " 2>&1"));
    return TextOf(file);
  }
  [[nodiscard]] bool IsWhole() const {
    return Status(1, clients_[2]).find(" follower ") != std::string::npos &&
           Status(0, clients_[0] + "," + clients_[1]).find("alive, ") !=
               std::string::npos;
  }

  TempDir dir_{"/tmp"};
  std::unique_ptr<TwoMachines> machines_;
  std::vector<std::string> clients_;
  std::string members_;
  std::vector<std::unique_ptr<Child>> processes_;
};

// With a limit of 20 s for what is not acknowledged, TCP alone would try again 11 s after
// the end of this cut, or find after 20 s that the connection is lost.
TEST_F(Partition,
       Scenario86_PartitionOfFourteenSeconds_PeersAndParticipantsTalkAgainSoon) {
  // Node 3 does not lead, or hands over in the cut.
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return Status(0, AllClients()).find("alive, ") != std::string::npos;
  }));
  machines_->Partition();
  std::this_thread::sleep_for(std::chrono::seconds(14));
  ASSERT_THAT(Status(0, clients_[0] + "," + clients_[1]), HasSubstr("leads"));
  ASSERT_FALSE(IsWhole());
  machines_->Heal();
  const double healed = NowSeconds();
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return IsWhole(); }))
      << Status(1, clients_[2]) << Status(0, clients_[0] + "," + clients_[1]);
  // A second is promised; the machine may be slow, and each look takes its time.
  EXPECT_LT(NowSeconds() - healed, 4.0);
}

}  // namespace
}  // namespace concordat::testing
