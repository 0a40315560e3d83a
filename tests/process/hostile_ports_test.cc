// Scenarios 53 to 56 at the ports of real daemons: what bad clients send closes their
// connection or is refused, and the cluster goes on.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "concordat_wire/RaftService.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/base/check.h"
#include "coordinator/base/random.h"
#include "coordinator/raft/configuration.h"
#include "tests/process/cluster.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::testing {
namespace {

// A connection to 127.0.0.1:PORT, with bytes sent.
class BadClient {
 public:
  BadClient(const std::string& address, const std::string& bytes)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port =
        htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << address;
    (void)send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  ~BadClient() { close(fd_); }
  BadClient(const BadClient&) = delete;
  BadClient& operator=(const BadClient&) = delete;

  // Whether the other side closes, without an answer.
  bool IsClosed() {
    char byte = 0;
    const ssize_t n = recv(fd_, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  // The first bytes of the answer's frame: its length, protocol, and message type.
  std::string Answer() {
    std::string start(6, '\0');
    const ssize_t n = recv(fd_, start.data(), start.size(), MSG_WAITALL);
    start.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return start;
  }

 private:
  const int fd_;
};

// A frame's length, true or not, and then bytes.
std::string EncodedMembers() {
  return raft::EncodeConfiguration(
      raft::Configuration({NodeId(1), NodeId(2), NodeId(3)}));
}

std::string Frame(uint32_t length, const std::string& bytes) {
  const uint32_t wire = htonl(length);
  std::string frame(reinterpret_cast<const char*>(&wire), sizeof(wire));
  return frame.append(bytes);
}

std::string Framed(const std::string& payload) {
  return Frame(static_cast<uint32_t>(payload.size()), payload);
}

// A call whose argument, a CallContext, begins with a field that nobody knows. In
// Thrift's compact protocol; what follows are the field's header and its value.
std::string Call(const std::string& method, const std::string& field) {
  std::string call("\x82\x21\x09");
  call.append(1, static_cast<char>(method.size())).append(method).append("\x1C");
  return Framed(call.append(field));
}

class HostilePorts : public ::testing::Test {
 protected:
  void ExpectRefused(const std::string& address, const std::string& bytes) {
    constexpr char kException = '\x61';  // type 3 of version 1
    const std::string answer = BadClient(address, bytes).Answer();
    ASSERT_EQ(answer.size(), 6u) << address;
    EXPECT_EQ(answer[5], kException) << address;
  }
  static std::string FileText(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  void ExpectTheClusterGoesOn() {
    auto client = cluster_.NewClient();
    const client::CommitResult result = client->Run(
        [](client::Transaction& t) { return Cluster::Transfer(&t, "alice", "bob", 5); });
    EXPECT_EQ(result.outcome, Outcome::kCommitted) << result;
    EXPECT_TRUE(cluster_.WaitUntilSettled());
    EXPECT_EQ(cluster_.KvBalance("alice"), -5);
    EXPECT_EQ(cluster_.SqlBalance("bob"), 5);
  }
  [[nodiscard]] std::vector<std::string> Banks() {
    return {cluster_.proxy("kv").address(), cluster_.proxy("sql").address()};
  }

  Cluster cluster_;
};

TEST_F(HostilePorts, Scenario53And56_BadFramesAtEveryDaemon_CloseTheirConnectionOnly) {
  const std::string some(64, 'x');
  const std::vector<std::string> bad = {
      Frame(0xFFFF'FFFF, some),  // negative
      Frame(0x8000'0000, some),  // 2^31
      Frame(0x7FFF'FFFF, some), Framed("not thrift at all"),
      Framed("\x82\x22"),  // another version
      "GET / HTTP/1.1\r\n\r\n",
  };
  std::vector<std::string> ports = cluster_.client_addresses();
  for (const std::string& bank : Banks()) ports.push_back(bank);
  for (const std::string& port : ports) {
    for (size_t i = 0; i < bad.size(); ++i) {
      EXPECT_TRUE(BadClient(port, bad[i]).IsClosed()) << port << ", bytes " << i;
    }
  }
  ExpectTheClusterGoesOn();
}

TEST_F(HostilePorts, Scenario54And55And56_BadCallsAtEveryDaemon_AreRefused) {
  const std::vector<std::string> bad_fields = {
      "\x99\xFC\xFF\xFF\xFF\xFF\x07",              // a list of 2^31 - 1 structs
      "\x99\xF6\xFF\xFF\xFF\xFF\x0F",              // a list of -1 integers
      std::string("\x9C").append(50'000, '\x1C'),  // a struct in a struct in a …
      "\x18",                                      // cut off
  };
  const auto send_all = [&](const std::string& address, const std::string& method) {
    for (const std::string& field : bad_fields) {
      ExpectRefused(address, Call(method, field));
    }
    ExpectRefused(address, Call("drop_tables", std::string(2, '\0')));
  };
  for (const std::string& node : cluster_.client_addresses()) send_all(node, "status");
  for (const std::string& bank : Banks()) send_all(bank, "recover");
  ExpectTheClusterGoesOn();
}

// A peer that says what no correct one says. The other tests of it are in
// tests/unit/raft/hostile_peer_test.cc; here a daemon is behind the port.
class BadPeer {
 public:
  BadPeer(const std::string& cluster_id, uint64_t seed)
      : cluster_(absl::HexStringToBytes(cluster_id)), random_(seed) {}

  wire::RaftBatch Batch(int64_t to, int64_t term) {
    wire::RaftBatch batch;
    batch.cluster_name = "concordat";
    batch.version = wire::g_types_constants.PROTOCOL_VERSION;
    for (int i = 0; i < 20; ++i) batch.messages.push_back(Lie(to, term));
    return batch;
  }

 private:
  int64_t Number() {
    const int64_t numbers[] = {0, 1, 2, 7, 1000, int64_t{1} << 40, INT64_MAX, -1, -2};
    return numbers[random_.Below(std::size(numbers))];
  }
  wire::RaftMessage Lie(int64_t to, int64_t term) {
    wire::RaftMessage lie;
    lie.type = static_cast<wire::RaftMessageType::type>(1 + random_.Below(8));
    lie.group = 1;
    lie.from_node = random_.Between(0, 4);
    lie.to_node = to;
    lie.term = random_.Percent(70) ? term : Number();
    if (random_.Percent(80)) lie.__set_cluster(cluster_);
    lie.__set_log_index(Number());
    lie.__set_log_term(random_.Percent(50) ? 1 : Number());
    lie.__set_commit_index(Number());
    lie.__set_success(random_.Percent(50));
    lie.__set_match_index(Number());
    lie.__set_hint_term(Number());
    lie.__set_read_round(Number());
    lie.__set_offset(random_.Percent(50) ? 0 : Number());
    lie.__set_chunk("chunk");
    lie.__set_done(random_.Percent(30));
    lie.__set_configuration(random_.Percent(50) ? EncodedMembers() : "garbage");
    lie.__set_from_log(Number());
    if (random_.Percent(20)) lie.__set_to_log(Number());
    lie.__set_next_offset(Number());
    lie.__set_campaign_term(Number());
    lie.__set_rejected_index(Number());
    lie.__set_hint_index(Number());
    std::vector<wire::RaftEntry> entries(random_.Below(4));
    for (wire::RaftEntry& entry : entries) {
      entry.term = term;
      entry.type = static_cast<int32_t>(random_.Between(0, 4));
      entry.__set_data("not a record");
    }
    lie.__set_entries(entries);
    return lie;
  }

  const std::string cluster_;
  Random random_;
};

// A connection to a peer's port.
class PeerLine {
 public:
  explicit PeerLine(const std::string& address) {
    auto thread = rpc::LoopThread::Start();
    CONCORDAT_CHECK(thread.ok());
    thread_ = *std::move(thread);
    thread_->RunSync([&] {
      rpc::ChannelOptions options;
      options.keep_connected = true;
      channel_ = std::make_unique<rpc::Channel>(
          thread_->loop(), *rpc::Address::Parse(address), rpc::Limits{}, options);
    });
  }
  ~PeerLine() {
    thread_->RunSync([this] { channel_.reset(); });
  }
  void Send(const wire::RaftBatch& batch) {
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      bool sent = false;
      thread_->RunSync([&] {
        sent = channel_->Oneway<wire::RaftService_deliver_pargs>("deliver", batch);
      });
      return sent;
    }));
  }

 private:
  std::unique_ptr<rpc::LoopThread> thread_;
  std::unique_ptr<rpc::Channel> channel_;
};

TEST_F(HostilePorts, Scenario79_ImpossiblePeerMessages_EndNoNode) {
  const int leader = cluster_.Leader();
  const int victim = leader % 3 + 1;  // a follower; two others can go on without it
  const std::string log = FileText(absl::StrCat(cluster_.dir(), "/node-1.log"));
  const size_t at = log.find(" id=", log.find(" cluster node="));
  ASSERT_NE(at, std::string::npos) << log;
  const std::string cluster_id = log.substr(at + 4, 32);
  BadPeer insider(cluster_id, 1);
  BadPeer stranger(std::string(32, '7'), 2);
  for (int node = 1; node <= 3; ++node) {
    PeerLine line(cluster_.peer_addresses()[static_cast<size_t>(node - 1)]);
    BadPeer& liar = node == victim ? insider : stranger;
    for (int round = 0; round < 40; ++round) {
      line.Send(liar.Batch(node, cluster_.Status(node).term));
    }
    const std::string refusals = absl::StrCat(cluster_.dir(), "/node-", node, ".log");
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      return FileText(refusals).find("peer message refused") != std::string::npos;
    })) << FileText(refusals);
  }
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(cluster_.Status(node).result.code, wire::Code::OK) << "node " << node;
  }
  ExpectTheClusterGoesOn();
}

}  // namespace
}  // namespace concordat::testing
