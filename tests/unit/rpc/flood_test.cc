// Slow peers, too many peers and too many calls: scenario 57. Other clients are served.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <future>
#include <iostream>

#include "tests/unit/rpc/raw_peer.h"
#include "thrift/rpc/process.h"

namespace concordat::rpc::testing {
namespace {

class FloodTest : public RpcTest {
 protected:
  // The server's messages about connections that it closes belong to the test's output.
  void SetUp() override {
    SetMessageSink([](const Message& message) { std::cout << message.text << "\n"; });
  }
  void TearDown() override { SetMessageSink(nullptr); }
};

TEST_F(FloodTest, Scenario57_SlowSender_IsClosedThoughItKeepsSending) {
  Limits limits;
  limits.frame_timeout = Duration::Millis(150);
  StartServer(limits);
  RawPeer slow(address_);
  const std::string frame = Framed(EchoCall(1, MakeRequest(1)));
  const auto start = std::chrono::steady_clock::now();
  bool closed = false;
  for (size_t i = 0; i + 1 < frame.size() && !closed; ++i) {
    slow.Send(frame.substr(i, 1));
    closed = slow.IsClosedWithin(Duration::Millis(20));
    EXPECT_TRUE(i % 5 != 0 || Echo(OpenChannel(), MakeRequest(2)).ok());
  }
  EXPECT_TRUE(closed);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_EQ(Stats().timed_out, 1U);
}

TEST_F(FloodTest, Scenario57_FrameInPiecesWithinTheTime_IsServed) {
  StartServer();
  RawPeer peer(address_);
  for (const char byte : Framed(PingCall(5))) {
    ASSERT_TRUE(peer.Send(std::string(1, byte)));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::optional<Answer> answer = peer.ReadAnswer();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->header.sequence, 5);
}

TEST_F(FloodTest, IdleConnection_IsClosedButNotOneWithACallUnderWay) {
  Limits limits;
  limits.idle_timeout = Duration::Millis(60);
  StartServer(limits);
  RawPeer idle(address_);
  RawPeer busy(address_);
  busy.Send(Framed(EchoCall(1, MakeRequest(1, "", 500))));
  EXPECT_TRUE(idle.IsClosedWithin(Duration::Seconds(5)));
  EXPECT_TRUE(busy.ReadAnswer().has_value());
}

TEST_F(FloodTest, Scenario57_PeerThatDoesNotReadItsAnswers_IsHeldBackAndThenClosed) {
  Limits limits;
  limits.write_timeout = Duration::Millis(300);
  limits.frame_timeout = Duration::Seconds(600);
  limits.max_buffered_out_bytes = 1 << 20;
  StartServer(limits);
  RawPeer deaf(address_);
  const int small = 4096;
  setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(100000, 'x'));
  const std::string frame = Framed(EchoCall(1, request));
  std::thread sender([&] {
    for (int i = 0; i < 2000 && deaf.Send(frame); ++i) {
    }
  });
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(2)).ok());
  sender.join();  // ends only when the server closes
  EXPECT_EQ(Stats().timed_out, 1U);
  // 1 MiB of answers here, and as much as the buffers of two sockets hold.
  EXPECT_LT(handler_->calls.load(), 200);
}

// All calls are under way when the first one is answered: it is too late to stop reading
// requests.
TEST_F(FloodTest, Scenario57_AnswersOfCallsUnderWay_AreKeptOnlyToTheLimit) {
  Limits limits;
  limits.max_buffered_out_bytes = 1 << 20;
  StartServer(limits);
  RawPeer deaf(address_);
  const int small = 4096;
  setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  EchoRequest request = MakeRequest(1, "hold");
  request.__set_payload(std::string(100'000, 'x'));
  for (int i = 1; i <= 150; ++i) ASSERT_TRUE(deaf.Send(Framed(EchoCall(i, request))));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting == 150; }));
  OnServer([&] { handler_->Release(); });
  EXPECT_TRUE(Eventually([&] { return Stats().connections == 0; }));
  EXPECT_EQ(Stats().timed_out, 0U);
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(2)).ok());
}

// The server does not read while the first call is under way: the time in which the
// second frame makes no progress is not the peer's fault.
TEST_F(FloodTest, FrameInPiecesWhileTheServerDoesNotRead_IsNotLate) {
  Limits limits;
  limits.frame_timeout = Duration::Millis(150);
  limits.max_calls_in_flight = 1;
  StartServer(limits);
  RawPeer peer(address_);
  const std::string second = Framed(PingCall(2));
  peer.Send(Framed(EchoCall(1, MakeRequest(1, "", 600))) + second.substr(0, 6));
  ASSERT_TRUE(peer.ReadAnswer().has_value());
  ASSERT_TRUE(peer.Send(second.substr(6)));
  EXPECT_TRUE(peer.ReadAnswer().has_value());
}

TEST_F(FloodTest, MoreCallsThanTheLimit_WaitAndAreAllAnswered) {
  Limits limits;
  limits.max_calls_in_flight = 8;
  StartServer(limits);
  RawPeer peer(address_);
  constexpr int kCalls = 400;
  std::string frames;
  for (int i = 1; i <= kCalls; ++i) frames += Framed(EchoCall(i, MakeRequest(i, "", 1)));
  ASSERT_TRUE(peer.Send(frames));
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(peer.ReadAnswer().has_value()) << i;
  EXPECT_EQ(handler_->most_waiting.load(), 8);
}

TEST_F(FloodTest, MoreRequestBytesThanTheLimit_WaitAndAreAllAnswered) {
  Limits limits;
  limits.max_buffered_in_bytes = 100000;
  StartServer(limits);
  RawPeer peer(address_);
  EchoRequest request = MakeRequest(1, "", 2);
  request.__set_payload(std::string(30000, 'x'));
  std::string frames;
  for (int i = 1; i <= 50; ++i) frames += Framed(EchoCall(i, request));
  std::thread sender([&] { peer.Send(frames); });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(peer.ReadAnswer().has_value()) << i;
  sender.join();
  EXPECT_LE(handler_->most_waiting.load(), 4);
}

TEST_F(FloodTest, Scenario81_ConnectionLimit_TheQuietestMakesRoomForANewOne) {
  Limits limits;
  limits.max_connections = 10;
  limits.silent_before_replaced = Duration::Millis(100);
  StartServer(limits);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 10; ++i) peers.push_back(std::make_unique<RawPeer>(address_));
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 10; }));
  // All connections but the third have sent something.
  for (int i = 0; i < 10; ++i) {
    if (i == 2) continue;
    RawPeer& peer = *peers[static_cast<size_t>(i)];
    ASSERT_TRUE(peer.Send(Framed(PingCall(1))));
    ASSERT_TRUE(peer.ReadAnswer().has_value());
  }
  RawPeer extra(address_);
  ASSERT_TRUE(extra.Send(Framed(PingCall(1))));
  EXPECT_TRUE(extra.ReadAnswer().has_value());
  EXPECT_EQ(Stats().replaced, 1U);
  EXPECT_EQ(Stats().connections, 10U);
  EXPECT_TRUE(peers[2]->IsClosedWithin(Duration::Seconds(5)));
}

TEST_F(FloodTest, Scenario81_ConnectionLimitAndAllHaveCalled_TheQuietestMakesRoom) {
  Limits limits;
  limits.max_connections = 3;
  limits.quiet_before_replaced = Duration::Millis(100);
  StartServer(limits);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(std::make_unique<RawPeer>(address_));
  for (const int i : {1, 0, 2, 0}) {
    RawPeer& peer = *peers[static_cast<size_t>(i)];
    ASSERT_TRUE(peer.Send(Framed(PingCall(1))));
    ASSERT_TRUE(peer.ReadAnswer().has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  RawPeer extra(address_);
  ASSERT_TRUE(extra.Send(Framed(PingCall(1))));
  EXPECT_TRUE(extra.ReadAnswer().has_value());
  EXPECT_TRUE(peers[1]->IsClosedWithin(Duration::Seconds(5)));
  EXPECT_EQ(Stats().replaced, 1U);
}

TEST_F(FloodTest, Scenario81_ConnectionLimitWithCallsUnderWay_NewOneWaitsUntilOneGoes) {
  Limits limits;
  limits.max_connections = 3;
  limits.silent_before_replaced = limits.quiet_before_replaced = Duration::Millis(1);
  StartServer(limits);
  std::vector<std::unique_ptr<RawPeer>> busy;
  for (int i = 0; i < 3; ++i) {
    busy.push_back(std::make_unique<RawPeer>(address_));
    ASSERT_TRUE(busy.back()->Send(Framed(EchoCall(1, MakeRequest(1, "hold")))));
  }
  ASSERT_TRUE(Eventually([&] { return handler_->waiting == 3; }));
  RawPeer extra(address_);
  ASSERT_TRUE(extra.Send(Framed(PingCall(1))));
  ASSERT_TRUE(Eventually([&] { return Stats().accept_pauses >= 2; }));
  EXPECT_EQ(Stats().replaced, 0U);
  EXPECT_EQ(Stats().connections, 3U);
  busy.pop_back();
  EXPECT_TRUE(extra.ReadAnswer(Duration::Seconds(10)).has_value());
  OnServer([&] { handler_->Release(); });
  EXPECT_TRUE(busy.front()->ReadAnswer().has_value());
}

TEST_F(FloodTest, Scenario81_ConnectionLimitAndAllHaveJustCalled_NewOneWaits) {
  Limits limits;
  limits.max_connections = 3;
  limits.quiet_before_replaced = Duration::Seconds(60);
  StartServer(limits);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(std::make_unique<RawPeer>(address_));
    ASSERT_TRUE(peers.back()->Send(Framed(PingCall(1))));
    ASSERT_TRUE(peers.back()->ReadAnswer().has_value());
  }
  RawPeer extra(address_);
  ASSERT_TRUE(extra.Send(Framed(PingCall(1))));
  ASSERT_TRUE(Eventually([&] { return Stats().accept_pauses >= 2; }));
  EXPECT_EQ(Stats().replaced, 0U);
  for (auto& peer : peers) {
    ASSERT_TRUE(peer->Send(Framed(PingCall(2))));
    EXPECT_TRUE(peer->ReadAnswer().has_value());
  }
  peers.pop_back();
  EXPECT_TRUE(extra.ReadAnswer(Duration::Seconds(10)).has_value());
}

// The connection has made calls, and they are answered, but it has not read all answers
// yet.
TEST_F(FloodTest, Scenario81_ConnectionLimitWithAnswersOnTheirWay_NoneIsLost) {
  Limits limits;
  limits.max_connections = 1;
  limits.silent_before_replaced = limits.quiet_before_replaced = Duration::Millis(1);
  StartServer(limits);
  RawPeer slow(address_);
  constexpr int kAnswers = 70;
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(100'000, 'x'));
  for (int i = 1; i <= kAnswers; ++i) {
    ASSERT_TRUE(slow.Send(Framed(EchoCall(i, request))));
  }
  ASSERT_TRUE(Eventually([&] { return handler_->calls == kAnswers; }));
  RawPeer extra(address_);
  ASSERT_TRUE(extra.Send(Framed(PingCall(1))));
  ASSERT_TRUE(Eventually([&] { return Stats().accept_pauses >= 2; }));
  EXPECT_EQ(Stats().replaced, 0U);
  for (int i = 0; i < kAnswers; ++i) ASSERT_TRUE(slow.ReadAnswer().has_value()) << i;
  EXPECT_TRUE(extra.ReadAnswer(Duration::Seconds(10)).has_value());
}

TEST_F(FloodTest, Scenario57_FloodFromOneAddress_LeavesRoomForAnother) {
  Limits limits;
  limits.max_connections_per_peer = 5;
  StartServer(limits);
  OnServer([&] { ASSERT_TRUE(server_->Listen(Address::Unix(SocketPath("in"))).ok()); });
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(std::make_unique<RawPeer>(address_));
  ASSERT_TRUE(Eventually([&] { return Stats().refused_connections == 15; }));
  EXPECT_TRUE(Echo(OpenChannelTo(Address::Unix(SocketPath("in"))), MakeRequest(1)).ok());
  peers.clear();
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 1; }));
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(2)).ok()) << "the count goes down again";
}

size_t ResidentBytes() {
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * 4096;
}

TEST_F(FloodTest, Scenario57_ThousandIdleConnections_OthersAreServedAndMemoryStaysSmall) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur < 2200) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  }
  ASSERT_GE(files.rlim_cur, 2200U) << "two descriptors a connection are needed";
  StartServer();
  Channel* const good = OpenChannel();
  ASSERT_TRUE(Echo(good, MakeRequest(1)).ok());
  const size_t before = ResidentBytes();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 1000; ++i) {
    peers.push_back(std::make_unique<RawPeer>(address_));
    ASSERT_TRUE(peers.back()->connected()) << i;
    ASSERT_TRUE(peers.back()->Send(Framed(PingCall(i + 1))));
  }
  for (auto& peer : peers) ASSERT_TRUE(peer->ReadAnswer().has_value());
  EXPECT_EQ(Stats().connections, 1001U);
  std::atomic<int> answered{0};
  OnClient([&] {
    for (int i = 0; i < 1000; ++i) {
      StartEcho(good, MakeRequest(i), Duration::Seconds(10),
                [&](CallResult<EchoReply> result) { answered += result.ok() ? 1 : 0; });
    }
  });
  EXPECT_TRUE(Eventually([&] { return answered.load() == 1000; }));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(ResidentBytes() - before, size_t{24} << 20);
#else
  (void)before;
#endif
}

// Runs in a process of its own; exit status 0 means success.
void ServeWithoutDescriptors() {
  const auto server_loop = *LoopThread::Start();
  const auto handler = std::make_shared<EchoHandler>(server_loop->loop());
  std::unique_ptr<Server> server;
  Address address;
  server_loop->RunSync([&] {
    server = std::make_unique<Server>(server_loop->loop(), EchoProcessor(handler));
    address = *server->Listen(*Address::Parse("127.0.0.1:0"));
  });
  const auto stats = [&] {
    ServerStats now;
    server_loop->RunSync([&] { now = server->stats(); });
    return now;
  };
  auto good = std::make_unique<RawPeer>(address);
  const auto ping = [](RawPeer* peer) {
    return peer->Send(Framed(PingCall(1))) && peer->ReadAnswer().has_value();
  };
  if (!ping(good.get())) _exit(2);
  // These sockets are made now and connected when no descriptor is left for the other
  // end.
  const int lowest_free = dup(0);
  close(lowest_free);
  const rlimit limit{static_cast<rlim_t>(lowest_free) + 3,
                     static_cast<rlim_t>(lowest_free) + 3};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(3);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(std::make_unique<RawPeer>(address));
  if (!Eventually([&] { return stats().accept_pauses >= 2; })) _exit(4);
  if (!ping(good.get())) _exit(5);
  // The server must not spin while it waits: some pauses a second, not thousands.
  const uint64_t pauses_before = stats().accept_pauses;
  rusage usage_before{};
  getrusage(RUSAGE_SELF, &usage_before);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  rusage usage_after{};
  getrusage(RUSAGE_SELF, &usage_after);
  if (stats().accept_pauses - pauses_before > 20) _exit(6);
  const auto micros = [](const rusage& usage) {
    return usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
  };
  if (micros(usage_after) - micros(usage_before) > 200000) _exit(7);
  // When descriptors are free again, connections are accepted again.
  peers.pop_back();
  peers.pop_back();
  if (!ping(peers.front().get())) _exit(8);
  _exit(0);
}

TEST(FloodDeathTest, Scenario57_OutOfFileDescriptorsInAccept_ServerGoesOnAndRecovers) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ServeWithoutDescriptors(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace concordat::rpc::testing
