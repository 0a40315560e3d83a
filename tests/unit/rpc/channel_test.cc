// What a caller is told when calls fail, and that it is told once.
#include "thrift/rpc/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>

#include "tests/unit/rpc/raw_peer.h"

namespace concordat::rpc::testing {
namespace {

using ::testing::HasSubstr;

// Returns an address where nobody listens.
Address FreeAddress() {
  RawListener listener;
  return listener.address();
}

class ChannelTest : public RpcTest {
 protected:
  // Starts a call and returns the future of its outcome.
  std::future<CallResult<EchoReply>> Start(Channel* channel, const EchoRequest& request,
                                           Duration deadline = Duration::Seconds(10)) {
    auto promise = std::make_shared<std::promise<CallResult<EchoReply>>>();
    OnClient([&] {
      StartEcho(channel, request, deadline,
                [promise](CallResult<EchoReply> result) { promise->set_value(result); });
    });
    return promise->get_future();
  }
};

TEST_F(ChannelTest, ServerNotThere_NotSent) {
  const CallResult<EchoReply> result = Echo(OpenChannelTo(FreeAddress()), MakeRequest(1));
  EXPECT_EQ(result.outcome, CallOutcome::kNotSent);
  EXPECT_TRUE(result.not_executed());
  EXPECT_THAT(result.error, HasSubstr("refused"));
}

// Trial 8: such a request was sent and ended the connection that all calls shared.
TEST_F(ChannelTest, RequestOverALimit_IsNotSentAndOthersAreNotDisturbed) {
  StartServer();
  Channel* const channel = OpenChannel();
  auto other = Start(channel, MakeRequest(1, "", 200));
  EchoRequest large = MakeRequest(2);
  large.__set_payload(std::string(1'200'000, 'x'));
  const CallResult<EchoReply> bytes = Echo(channel, large);
  EXPECT_EQ(bytes.outcome, CallOutcome::kNotSent);
  EXPECT_EQ(bytes.fault, CallFault::kTooLarge);
  EXPECT_THAT(bytes.error, HasSubstr("bytes, and 1048576 are allowed"));
  EchoRequest many = MakeRequest(3);
  many.__set_words(std::vector<std::string>(30000, "x"));
  const CallResult<EchoReply> elements = Echo(channel, many);
  EXPECT_EQ(elements.outcome, CallOutcome::kNotSent);
  EXPECT_EQ(elements.fault, CallFault::kTooLarge);
  EXPECT_THAT(elements.error,
              HasSubstr("a list of 30000 elements, and 16384 are allowed"));
  EXPECT_TRUE(other.get().ok());
  EXPECT_TRUE(Echo(channel, MakeRequest(4)).ok());
  EXPECT_EQ(Stats().accepted, 1U);
}

TEST_F(ChannelTest, AnotherKindOfServer_IsSaidToBeOne) {
  const std::map<std::string, std::string> servers = {
      {std::string("E\0\0\0\x8fSFATAL", 11), "PostgreSQL"},
      {std::string("\x6e\0\0\0\x0a", 5), "MariaDB or MySQL"},
      {std::string("\x15\x03\x03\0\x02", 5), "a TLS server"},
      {"HTTP/1.1 400 Bad Request\r\n", "HTTP"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "SSH"}};
  for (const auto& [greeting, name] : servers) {
    RawListener listener;
    auto result = Start(OpenChannelTo(listener.address()), MakeRequest(1));
    RawPeer peer = listener.Accept();
    ASSERT_TRUE(peer.ReadFrame().has_value());
    peer.Send(greeting);
    const CallResult<EchoReply> got = result.get();
    EXPECT_EQ(got.fault, CallFault::kForeignPeer) << name;
    EXPECT_TRUE(got.is_other_server());
    EXPECT_THAT(got.error, HasSubstr("looks like " + name));
  }
}

TEST_F(ChannelTest, UnixServerNotThere_NotSent) {
  const CallResult<EchoReply> result =
      Echo(OpenChannelTo(Address::Unix(SocketPath("nobody"))), MakeRequest(1));
  EXPECT_EQ(result.outcome, CallOutcome::kNotSent);
}

TEST_F(ChannelTest, ServerNotThere_AttemptsBackOff) {
  Channel* const channel = OpenChannelTo(
      FreeAddress(), {}, {.reconnect_min = Duration::Millis(20), .keep_connected = true});
  std::vector<Timestamp> attempts;
  OnClient([&] {
    channel->SetStateHook([&](bool up, const absl::Status& why) {
      EXPECT_FALSE(up);
      EXPECT_FALSE(why.ok());
      attempts.push_back(client_loop_->loop()->Now());
    });
  });
  // The delays are 20, 40, 80, 160, ... ms, each drawn from its upper half.
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  size_t count = 0;
  OnClient([&] {
    channel->SetStateHook(nullptr);
    count = attempts.size();
  });
  EXPECT_GE(count, 3U);
  EXPECT_LE(count, 8U);
  for (size_t i = 2; i < attempts.size(); ++i) {
    EXPECT_GT(attempts[i] - attempts[i - 2], Duration::Millis(20));
  }
}

// A connection alone is no success: the peer closes each one without an answer.
TEST_F(ChannelTest, PeerThatClosesEachConnection_AttemptsBackOff) {
  RawListener listener;
  OpenChannelTo(listener.address(), {}, {.keep_connected = true});
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 7; ++i) listener.Accept().Close();
  // 20, 40, 80, ... 640 ms lie between the attempts, each drawn from its upper half.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(600));
}

TEST_F(ChannelTest, DuringBackOff_CallsFailAtOnceAndConnectNothing) {
  Channel* const channel = OpenChannelTo(
      FreeAddress(), {},
      {.reconnect_min = Duration::Seconds(30), .reconnect_max = Duration::Seconds(30)});
  EXPECT_EQ(Echo(channel, MakeRequest(1)).outcome, CallOutcome::kNotSent);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Echo(channel, MakeRequest(1)).outcome, CallOutcome::kNotSent);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(ChannelTest, ServerComesBack_CallsGoThroughAgain) {
  StartServer();
  Channel* const channel = OpenChannel({}, {.reconnect_max = Duration::Millis(50)});
  ASSERT_TRUE(Echo(channel, MakeRequest(1)).ok());
  StopServer();
  ASSERT_TRUE(Eventually([&] { return !Echo(channel, MakeRequest(2)).ok(); }));
  StartServer({}, address_.ToString());
  EXPECT_TRUE(Eventually([&] { return Echo(channel, MakeRequest(3)).ok(); }));
}

TEST_F(ChannelTest, Scenario52_PeerDiesAfterTheRequestLeft_Unknown) {
  RawListener listener;
  Channel* const channel = OpenChannelTo(listener.address());
  auto result = Start(channel, MakeRequest(1));
  {
    RawPeer peer = listener.Accept();
    ASSERT_TRUE(peer.ReadFrame().has_value());
  }
  const CallResult<EchoReply> got = result.get();
  EXPECT_EQ(got.outcome, CallOutcome::kUnknown);
  EXPECT_FALSE(got.not_executed());
}

// The peer is busy or stopped, but its machine is there.
TEST_F(ChannelTest, Scenario86_PeerThatReadsLate_IsNotTakenForOneThatIsDisconnected) {
  RawListener listener;
  Limits limits;
  limits.max_buffered_out_bytes = size_t{64} << 20;
  Channel* const channel = OpenChannelTo(
      listener.address(), limits, {.unacknowledged_timeout = Duration::Millis(200)});
  constexpr int kCalls = 40;  // more than the buffers of two sockets hold
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(500000, 'x'));
  std::vector<std::future<CallResult<EchoReply>>> results;
  for (int i = 0; i < kCalls; ++i) {
    results.push_back(Start(channel, request, Duration::Seconds(60)));
  }
  RawPeer peer = listener.Accept();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  for (int i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(peer.ReadFrame(Duration::Seconds(30)).has_value()) << i;
  }
}

TEST_F(ChannelTest, ConnectionLostInTheMiddle_WhatHadNotLeftWholeIsNotSent) {
  RawListener listener;
  Limits limits;
  limits.max_buffered_out_bytes = size_t{256} << 20;
  Channel* const channel = OpenChannelTo(listener.address(), limits);
  constexpr int kCalls = 100;
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(500000, 'x'));
  std::vector<std::future<CallResult<EchoReply>>> results;
  for (int i = 0; i < kCalls; ++i) {
    request.__set_id(i);
    results.push_back(Start(channel, request));
  }
  RawPeer peer = listener.Accept();
  ASSERT_TRUE(peer.ReadFrame().has_value());
  ASSERT_TRUE(peer.ReadFrame().has_value());
  peer.Close();
  std::map<CallOutcome, int> outcomes;
  int first_not_sent = kCalls;
  for (int i = 0; i < kCalls; ++i) {
    const CallOutcome outcome = results[static_cast<size_t>(i)].get().outcome;
    ++outcomes[outcome];
    if (outcome == CallOutcome::kNotSent) first_not_sent = std::min(first_not_sent, i);
    if (i > first_not_sent) {
      EXPECT_EQ(outcome, CallOutcome::kNotSent) << "in order";
    }
  }
  EXPECT_GE(first_not_sent, 2) << "the peer has read two";
  EXPECT_GT(outcomes[CallOutcome::kUnknown], 0);
  EXPECT_GT(outcomes[CallOutcome::kNotSent], 0);
}

TEST_F(ChannelTest, DeadlinePasses_UnknownAndInTime) {
  StartServer();
  Channel* const channel = OpenChannel();
  ASSERT_TRUE(Echo(channel, MakeRequest(1)).ok());
  const auto start = std::chrono::steady_clock::now();
  const auto result = Echo(channel, MakeRequest(1, "hold"), Duration::Millis(50));
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(result.outcome, CallOutcome::kUnknown);
  EXPECT_THAT(result.error, HasSubstr("deadline"));
  EXPECT_GE(took, std::chrono::milliseconds(49));
  EXPECT_LT(took, std::chrono::seconds(3));
  OnServer([this] { handler_->Release(); });
}

TEST_F(ChannelTest, DifferentDeadlines_EachPassesByItself) {
  StartServer();
  Channel* const channel = OpenChannel();
  auto slow = Start(channel, MakeRequest(1, "", 150));
  auto late = Start(channel, MakeRequest(2, "hold"), Duration::Millis(100));
  auto early = Start(channel, MakeRequest(3, "hold"), Duration::Millis(20));
  EXPECT_EQ(early.get().outcome, CallOutcome::kUnknown);
  EXPECT_EQ(late.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(late.get().outcome, CallOutcome::kUnknown);
  EXPECT_TRUE(slow.get().ok());
  OnServer([this] { handler_->Release(); });
}

TEST_F(ChannelTest, AnswerAfterTheDeadline_ReachesNobodyElse) {
  StartServer();
  Channel* const channel = OpenChannel();
  EXPECT_EQ(Echo(channel, MakeRequest(1, "hold"), Duration::Millis(10)).outcome,
            CallOutcome::kUnknown);
  auto second = Start(channel, MakeRequest(2, "hold"));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 2; }));
  OnServer([this] { handler_->Release(); });  // both, the late one first
  const CallResult<EchoReply> result = second.get();
  ASSERT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(result.reply.id, 2);
  ASSERT_TRUE(Eventually([&] {
    size_t left = 1;
    OnClient([&] { left = channel->calls_in_flight(); });
    return left == 0;
  }));
}

// A listener with a full queue: connections to it are neither made nor refused.
class FullListener {
 public:
  FullListener() : listener_(0) {
    for (int i = 0; i < 4; ++i) {
      const SocketAddress target = *listener_.address().ToSocketLiteral();
      fillers_.push_back(*internal::StartConnect(target));
    }
  }
  [[nodiscard]] const Address& address() const { return listener_.address(); }

 private:
  RawListener listener_;
  std::vector<internal::OwnedFd> fillers_;
};

TEST_F(ChannelTest, DeadlineWhileConnecting_NotSent) {
  const FullListener full;
  Channel* const channel = OpenChannelTo(full.address());
  EXPECT_EQ(Echo(channel, MakeRequest(1), Duration::Millis(50)).outcome,
            CallOutcome::kNotSent);
}

TEST_F(ChannelTest, ConnectTimeout_NotSent) {
  const FullListener full;
  Channel* const channel =
      OpenChannelTo(full.address(), {}, {.connect_timeout = Duration::Millis(50)});
  const CallResult<EchoReply> result = Echo(channel, MakeRequest(1));
  EXPECT_EQ(result.outcome, CallOutcome::kNotSent);
  EXPECT_THAT(result.error, HasSubstr("in time"));
}

TEST_F(ChannelTest, DeadlineWhileConnecting_TheRequestIsNotSentLater) {
  RawListener listener;
  Channel* const channel = OpenChannelTo(listener.address());
  std::vector<CallOutcome> outcomes;
  std::promise<void> second;
  OnClient([&] {
    // The loop is kept from connecting until the first deadline has passed.
    StartEcho(channel, MakeRequest(1), Duration::Millis(1),
              [&](CallResult<EchoReply> result) { outcomes.push_back(result.outcome); });
    StartEcho(channel, MakeRequest(2), Duration::Seconds(10),
              [&](CallResult<EchoReply> result) {
                outcomes.push_back(result.outcome);
                second.set_value();
              });
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  });
  RawPeer peer = listener.Accept();
  // Whether the sweep or the connection came first, nothing that was reported as not sent
  // may arrive.
  const std::optional<std::string> first = peer.ReadFrame();
  ASSERT_TRUE(first.has_value());
  const bool first_arrived = first->find("payload of 1") != std::string::npos;
  peer.Close();
  second.get_future().get();
  ASSERT_EQ(outcomes.size(), 2U);
  EXPECT_EQ(outcomes[0], first_arrived ? CallOutcome::kUnknown : CallOutcome::kNotSent);
}

TEST_F(ChannelTest, CallbackNeverRunsInsideCall) {
  StartServer();
  std::vector<Channel*> channels = {OpenChannel(), OpenChannelTo(FreeAddress())};
  Limits tiny;
  tiny.max_frame_bytes = 10;
  channels.push_back(OpenChannel(tiny));
  channels.push_back(OpenChannel());
  OnClient([&] { channels.back()->Close(); });
  std::atomic<int> done{0};
  OnClient([&] {
    for (Channel* const channel : channels) {
      for (int i = 0; i < 3; ++i) {
        bool inside = true;
        StartEcho(channel, MakeRequest(1), Duration::Seconds(5),
                  [&inside, &done](CallResult<EchoReply>) {
                    (void)inside;
                    ++done;
                  });
        EXPECT_EQ(done.load(), 0);
        inside = false;
      }
    }
  });
  EXPECT_TRUE(Eventually([&] { return done.load() == 12; }));
}

TEST_F(ChannelTest, Close_FailsCallsByWhatIsKnownOfThem) {
  StartServer();
  Channel* const channel = OpenChannel();
  ASSERT_TRUE(Echo(channel, MakeRequest(1)).ok());
  auto sent = Start(channel, MakeRequest(2, "hold"));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  std::promise<CallOutcome> unsent;
  std::promise<CallOutcome> after;
  OnClient([&] {
    StartEcho(channel, MakeRequest(3), Duration::Seconds(5),
              [&](CallResult<EchoReply> result) { unsent.set_value(result.outcome); });
    channel->Close();
    StartEcho(channel, MakeRequest(4), Duration::Seconds(5),
              [&](CallResult<EchoReply> result) { after.set_value(result.outcome); });
  });
  EXPECT_EQ(sent.get().outcome, CallOutcome::kUnknown);
  EXPECT_EQ(unsent.get_future().get(), CallOutcome::kNotSent);
  EXPECT_EQ(after.get_future().get(), CallOutcome::kNotSent);
  OnServer([this] { handler_->Release(); });
}

TEST_F(ChannelTest, ChannelDestroyedInItsOwnCallback_OthersStillGetTheirs) {
  StartServer();
  Channel* const channel = OpenChannel();
  auto held = Start(channel, MakeRequest(1, "hold"));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  std::promise<bool> ok;
  OnClient([&] {
    StartEcho(channel, MakeRequest(2), Duration::Seconds(5),
              [&](CallResult<EchoReply> result) {
                channels_.clear();
                ok.set_value(result.ok());
              });
  });
  EXPECT_TRUE(ok.get_future().get());
  EXPECT_EQ(held.get().outcome, CallOutcome::kUnknown);
  OnServer([this] { handler_->Release(); });
}

TEST_F(ChannelTest, RequestOverALimit_NotSent) {
  StartServer();
  Limits limits;
  limits.max_frame_bytes = 1000;
  EchoRequest large = MakeRequest(1);
  large.__set_payload(std::string(2000, 'x'));
  EXPECT_EQ(Echo(OpenChannel(limits), large).outcome, CallOutcome::kNotSent);
  limits = Limits{};
  limits.max_calls_in_flight = 2;
  Channel* const few = OpenChannel(limits);
  auto first = Start(few, MakeRequest(1, "hold"));
  auto second = Start(few, MakeRequest(2, "hold"));
  const CallResult<EchoReply> third = Echo(few, MakeRequest(3));
  EXPECT_EQ(third.outcome, CallOutcome::kNotSent);
  EXPECT_THAT(third.error, HasSubstr("in flight"));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 2; }));
  OnServer([this] { handler_->Release(); });
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
  EXPECT_TRUE(Echo(few, MakeRequest(4)).ok());
}

TEST_F(ChannelTest, PeerThatDoesNotRead_QueueFillsAndCallsAreNotSent) {
  RawListener listener;
  Limits limits;
  limits.max_buffered_out_bytes = 1 << 20;
  Channel* const channel = OpenChannelTo(listener.address(), limits);
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(500000, 'x'));
  std::vector<std::future<CallResult<EchoReply>>> results;
  for (int i = 0; i < 60; ++i) results.push_back(Start(channel, request));
  EXPECT_EQ(results.back().get().outcome, CallOutcome::kNotSent);
  OnClient([&] { channel->Close(); });
}

TEST_F(ChannelTest, CallsWhileConnecting_FillTheQueueOnlyToItsLimit) {
  StartServer();
  Limits limits;
  limits.max_buffered_out_bytes = 100'000;
  Channel* const channel = OpenChannel(limits);
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(30'000, 'x'));
  std::vector<CallOutcome> outcomes;
  OnClient([&] {  // in one iteration of the loop: nothing is connected meanwhile
    for (int i = 0; i < 5; ++i) {
      StartEcho(channel, request, Duration::Seconds(10),
                [&](const auto& result) { outcomes.push_back(result.outcome); });
    }
  });
  const auto count = [&] {
    size_t size = 0;
    OnClient([&] { size = outcomes.size(); });
    return size;
  };
  ASSERT_TRUE(Eventually([&] { return count() == 5; }));
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), CallOutcome::kNotSent), 2);
}

TEST_F(ChannelTest, StateHook_ToldOfUpAndDownBeforeTheCallbacks) {
  StartServer();
  Channel* const channel = OpenChannel();
  std::vector<std::string> events;
  OnClient([&] {
    channel->SetStateHook([&](bool up, const absl::Status& why) {
      EXPECT_EQ(up, why.ok());
      events.push_back(up ? "up" : "down");
    });
  });
  ASSERT_TRUE(Echo(channel, MakeRequest(1)).ok());
  std::promise<void> failed;
  OnClient([&] {
    StartEcho(channel, MakeRequest(1, "hold"), Duration::Seconds(5),
              [&](CallResult<EchoReply> result) {
                EXPECT_EQ(result.outcome, CallOutcome::kUnknown);
                events.push_back("failed");
                failed.set_value();
              });
  });
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  StopServer();
  failed.get_future().get();
  OnClient([&] { EXPECT_THAT(events, ::testing::ElementsAre("up", "down", "failed")); });
  OnServer([this] { handler_->Release(); });
}

TEST_F(ChannelTest, KeepConnected_ConnectsWithoutACallAndAgainAfterLoss) {
  StartServer();
  std::atomic<int> ups{0};
  Channel* const channel =
      OpenChannel({}, {.reconnect_max = Duration::Millis(50), .keep_connected = true});
  OnClient([&] {
    channel->SetStateHook([&](bool up, const absl::Status&) { ups += up ? 1 : 0; });
  });
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 1; }));
  StopServer();
  StartServer({}, address_.ToString());
  EXPECT_TRUE(Eventually([&] { return Stats().connections == 1; }));
  EXPECT_TRUE(Eventually([&] { return ups.load() >= 1; }));
}

TEST_F(ChannelTest, Scenario52_HalfOpen_SilentPeerAfterADeadlineIsGivenUp) {
  RawListener listener;
  Channel* const channel =
      OpenChannelTo(listener.address(), {}, {.dead_peer_timeout = Duration::Millis(50)});
  auto lost = Start(channel, MakeRequest(1), Duration::Millis(20));
  auto waiting = Start(channel, MakeRequest(2), Duration::Seconds(30));
  RawPeer peer = listener.Accept();
  EXPECT_EQ(lost.get().outcome, CallOutcome::kUnknown);
  const CallResult<EchoReply> result = waiting.get();
  EXPECT_EQ(result.outcome, CallOutcome::kUnknown);
  EXPECT_THAT(result.error, HasSubstr("silent"));
}

TEST_F(ChannelTest, SlowAnswerWithinItsDeadline_DoesNotCountAsSilence) {
  StartServer();
  Channel* const channel = OpenChannel({}, {.dead_peer_timeout = Duration::Millis(40)});
  EXPECT_TRUE(Echo(channel, MakeRequest(1, "", 300)).ok());
}

TEST_F(ChannelTest, IdleChannel_ClosesBeforeTheServerDoesAndConnectsAgain) {
  StartServer();
  Limits limits;
  limits.idle_timeout = Duration::Millis(80);
  Channel* const channel = OpenChannel(limits);
  ASSERT_TRUE(Echo(channel, MakeRequest(1)).ok());
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 0; }));
  EXPECT_TRUE(Echo(channel, MakeRequest(2)).ok());
  EXPECT_EQ(Stats().accepted, 2U);
}

TEST_F(ChannelTest, NameThatMustBeLookedUp_Connects) {
  StartServer();
  Channel* const channel = OpenChannelTo(Address::Tcp("localhost", address_.port()));
  EXPECT_TRUE(Echo(channel, MakeRequest(1)).ok());
  const CallResult<EchoReply> none =
      Echo(OpenChannelTo(Address::Tcp("no-such-host.invalid", 1)), MakeRequest(1),
           Duration::Seconds(20));
  EXPECT_EQ(none.outcome, CallOutcome::kNotSent);
}

TEST_F(ChannelTest, DeclaredException_IsARemoteError) {
  StartServer();
  const CallResult<EchoReply> result = Echo(OpenChannel(), MakeRequest(1, "refuse"));
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_FALSE(result.not_executed());
}

TEST_F(ChannelTest, UnknownMethod_IsARemoteErrorAndSurelyNotExecuted) {
  StartServer();
  Channel* const channel = OpenChannel();
  std::promise<CallResult<EchoReply>> promise;
  OnClient([&] {
    channel->Call<EchoService_echo_pargs, EchoService_echo_presult, EchoReply>(
        "nothing", MakeRequest(1), Duration::Seconds(5),
        [&](CallResult<EchoReply> result) { promise.set_value(result); });
  });
  const CallResult<EchoReply> result = promise.get_future().get();
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_EQ(result.remote_type, apache::thrift::TApplicationException::UNKNOWN_METHOD);
  EXPECT_TRUE(result.not_executed());
}

TEST_F(ChannelTest, EveryShapeOfMethod_CanBeCalled) {
  StartServer();
  Channel* const channel = OpenChannel();
  std::promise<void> all;
  int left = 3;
  const auto done = [&] {
    if (--left == 0) all.set_value();
  };
  OnClient([&] {
    channel->CallWith<EchoBase_ping_pargs, EchoBase_ping_presult, Void>(
        "ping", EchoBase_ping_pargs(), Duration::Seconds(5),
        [&](CallResult<Void> result) {
          EXPECT_TRUE(result.ok()) << result.error;
          done();
        });
    const int64_t a = 40;
    const int64_t b = 2;
    EchoService_add_pargs pargs;
    pargs.a = &a;
    pargs.b = &b;
    channel->CallWith<EchoService_add_pargs, EchoService_add_presult, int64_t>(
        "add", pargs, Duration::Seconds(5), [&](CallResult<int64_t> result) {
          EXPECT_TRUE(result.ok());
          EXPECT_EQ(result.reply, 42);
          done();
        });
    const std::vector<EchoRequest> batch = {MakeRequest(1), MakeRequest(2)};
    channel->Call<EchoService_echoBatch_pargs, EchoService_echoBatch_presult,
                  std::vector<EchoReply>>("echoBatch", batch, Duration::Seconds(5),
                                          [&](CallResult<std::vector<EchoReply>> result) {
                                            EXPECT_EQ(result.reply.size(), 2U);
                                            done();
                                          });
    EXPECT_TRUE(channel->Oneway<EchoService_note_pargs>("note", MakeRequest(3)));
  });
  all.get_future().get();
  EXPECT_TRUE(Eventually([&] { return handler_->notes.load() == 1; }));
}

}  // namespace
}  // namespace concordat::rpc::testing
