// Scenario 81: there are more clients than a node has descriptors for. Also, what the log
// says when a client connects to the wrong port.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/client/context.h"
#include "tests/process/cluster.h"
#include "thrift/wire/conversion.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using client::CoordinatorLink;
using ::testing::HasSubstr;

// Many connections that send nothing. Those that are closed are made again.
class IdleClients {
 public:
  IdleClients(const std::string& address, int count)
      : port_(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))),
        fds_(static_cast<size_t>(count), -1) {
    keeper_ = std::thread([this] { Keep(); });
  }
  ~IdleClients() {
    stop_ = true;
    keeper_.join();
    for (const int fd : fds_) close(fd);
  }
  // Whether all were connected at some time. rounds_ counts how often they were made
  // again.
  [[nodiscard]] bool all_were_there() const { return rounds_ > 0; }

 private:
  void Keep() {
    while (!stop_) {
      for (int& fd : fds_) {
        if (fd < 0 || IsClosed(fd)) Connect(&fd);
      }
      ++rounds_;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  static bool IsClosed(int fd) {
    char byte = 0;
    const ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
  }
  void Connect(int* fd) const {
    if (*fd >= 0) close(*fd);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)connect(*fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }

  const uint16_t port_;
  std::vector<int> fds_;
  std::atomic<bool> stop_{false};
  std::atomic<int> rounds_{0};
  std::thread keeper_;
};

class Descriptors : public ::testing::Test {
 protected:
  static constexpr int kFiles = 128;

  void Commit(client::Client* client, int times) {
    for (int i = 0; i < times; ++i) {
      const CommitResult result = client->Run([](client::Transaction& t) {
        return Cluster::Transfer(&t, "alice", "bob", 1);
      });
      ASSERT_EQ(result.outcome, Outcome::kCommitted) << result;
    }
  }
  wire::BeginReply Begin(int node, int count) {
    return cluster_.Ask<wire::BeginReply>(
        node, [count](CoordinatorLink* link,
                      std::function<void(const wire::BeginReply&)> done) {
          wire::BeginRequest request;
          request.context = MakeContext();
          request.count = count;
          link->allocateGtids(std::move(done), request);
        });
  }
  // Writes this many KiB into the logs of all nodes.
  void Grow(int kib) {
    const int leader = cluster_.Leader();
    wire::Gtid gtid = Begin(leader, kib).first;
    for (int i = 0; i < kib; ++i, ++gtid.sequence) {
      wire::RollbackRequest request;
      request.context = MakeContext();
      request.gtid = gtid;
      request.__set_reason(std::string(1024, 'x'));
      const auto reply = cluster_.Ask<wire::OutcomeReply>(
          leader, [request](CoordinatorLink* link,
                            std::function<void(const wire::OutcomeReply&)> done) {
            link->rollback(std::move(done), request);
          });
      ASSERT_EQ(reply.outcome, wire::Outcome::ABORTED) << reply.result.message;
    }
  }
  [[nodiscard]] std::string NodeLog(int node) const {
    return TextOf(absl::StrCat(cluster_.dir(), "/node-", node, ".log"));
  }

  Cluster cluster_{
      ClusterOptions{.nodes = 3, .segment_bytes = 1 << 20, .node_files = kFiles}};
};

TEST_F(Descriptors, Scenario81_IdleConnectionsToTheLimit_CommitsGoOnAndNobodyExits) {
  const int leader = cluster_.Leader();
  auto client = cluster_.NewClient();
  Commit(client.get(), 1);
  {
    std::vector<std::unique_ptr<IdleClients>> idle;
    for (const std::string& address : cluster_.client_addresses()) {
      idle.push_back(std::make_unique<IdleClients>(address, 256));
    }
    for (const auto& clients : idle) {
      ASSERT_TRUE(WaitUntil(kPatience, [&] { return clients->all_were_there(); }));
    }
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      return NodeLog(leader).find("connection limit reached") != std::string::npos;
    }));
    // At least five segments of the log, each of which must be opened.
    ASSERT_NO_FATAL_FAILURE(Grow(5 * 1024));
    ASSERT_NO_FATAL_FAILURE(Commit(client.get(), 5));
    // There is room for an operator, too.
    std::string output;
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      return cluster_.CommandLine("status --timeout-ms 10000", &output) == 0;
    })) << output;
    EXPECT_THAT(output, HasSubstr("3 of 3 nodes"));
  }
  EXPECT_EQ(cluster_.Leader(), leader);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(cluster_.Status(node).result.code, wire::Code::OK);
    EXPECT_THAT(NodeLog(node), HasSubstr("open files limit=128"));
  }
  auto after = cluster_.NewClient();
  Commit(after.get(), 3);
}

TEST(DescriptorsTest, Scenario81_TooFewForANode_RefusedWithTheNumber) {
  const TempDir dir("/tmp");
  const std::string log = dir.path() + "/log";
  Child node(
      {"/usr/bin/prlimit", "--nofile=64",
       ProgramDir() + "/../../coordinator/daemon/concordatd", "--id", "1", "--members",
       absl::StrCat("1=127.0.0.1:", FreePort(), "/127.0.0.1:", FreePort()), "--data-dir",
       dir.path() + "/node"},
      log);
  EXPECT_EQ(node.WaitForExit(kPatience), 1);
  EXPECT_THAT(TextOf(log), HasSubstr("may open 64 files, and needs at least"));
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/node"));
}

}  // namespace
}  // namespace concordat::testing
