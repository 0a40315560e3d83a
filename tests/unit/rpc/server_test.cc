// One connection carries many calls, plain Thrift clients work, handlers answer when they
// like, and a server stops in good order.
#include "thrift/rpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <algorithm>
#include <future>

#include "concordat_rpc_test_wire/ResultService.h"
#include "tests/unit/rpc/raw_peer.h"

namespace concordat::rpc::testing {
namespace {

using apache::thrift::TApplicationException;
using ::testing::HasSubstr;

class ServerTest : public RpcTest {
 protected:
  // Thrift's own blocking client.
  std::shared_ptr<EchoServiceClient> PlainClient() {
    using namespace apache::thrift;  // NOLINT: names of one library
    const auto socket =
        address_.is_unix()
            ? std::make_shared<transport::TSocket>(address_.host())
            : std::make_shared<transport::TSocket>(address_.host(), address_.port());
    const auto framed = std::make_shared<transport::TFramedTransport>(socket);
    framed->open();
    return std::make_shared<EchoServiceClient>(
        std::make_shared<protocol::TCompactProtocol>(framed));
  }
};

TEST_F(ServerTest, ManyCallsOnOneConnection_AnswersComeOutOfOrderAndMatch) {
  StartServer();
  Channel* const channel = OpenChannel();
  constexpr int kCalls = 500;
  std::vector<int64_t> order;
  std::promise<void> all;
  OnClient([&] {
    for (int i = 0; i < kCalls; ++i) {
      const EchoRequest request = MakeRequest(i, "", (i * 37) % 23);
      StartEcho(channel, request, Duration::Seconds(20),
                [&, i](CallResult<EchoReply> result) {
                  ASSERT_TRUE(result.ok()) << result.error;
                  ASSERT_EQ(result.reply.id, i);
                  ASSERT_EQ(result.reply.payload, "payload of " + std::to_string(i));
                  order.push_back(i);
                  if (order.size() == kCalls) all.set_value();
                });
    }
  });
  all.get_future().get();
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(Stats().accepted, 1U);
  EXPECT_GT(handler_->most_waiting.load(), 100);
}

TEST_F(ServerTest, PlainSynchronousClient_Works) {
  StartServer();
  const auto client = PlainClient();
  client->ping();
  EchoReply reply;
  client->echo(reply, MakeRequest(5));
  EXPECT_EQ(reply.id, 5);
  client->echo(reply, MakeRequest(6, "", 3));
  EXPECT_EQ(reply.id, 6);
  EXPECT_EQ(client->add(40, 2), 42);
  std::vector<EchoReply> replies;
  client->echoBatch(replies, {MakeRequest(1), MakeRequest(2)});
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[1].id, 2);
  client->note(MakeRequest(9));
  client->ping();  // nothing came back for the oneway
  EXPECT_EQ(handler_->notes.load(), 1);
}

TEST_F(ServerTest, PlainSynchronousClientOnUnixSocket_Works) {
  StartServer({}, "unix:" + SocketPath("server"));
  EXPECT_EQ(PlainClient()->add(1, 2), 3);
}

TEST_F(ServerTest, GenericProcessor_WorksToo) {
  OnServer([&] {
    server_ = std::make_unique<Server>(
        server_loop_->loop(), std::make_shared<EchoServiceAsyncProcessor>(handler_));
    address_ = *server_->Listen(*Address::Parse("127.0.0.1:0"));
  });
  EXPECT_EQ(PlainClient()->add(1, 2), 3);
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(1, "", 2)).ok());
}

TEST_F(ServerTest, DeclaredException_IsAnsweredLaterAndTyped) {
  StartServer();
  const auto client = PlainClient();
  EchoReply reply;
  try {
    client->echo(reply, MakeRequest(1, "refuse", 5));
    FAIL() << "no exception";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.why, "as you wished");
  }
  EXPECT_EQ(client->add(1, 1), 2);
}

TEST_F(ServerTest, HandlerThatThrows_IsAnInternalErrorAndTheConnectionLives) {
  StartServer();
  Channel* const channel = OpenChannel();
  const CallResult<EchoReply> result = Echo(channel, MakeRequest(1, "throw"));
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_EQ(result.remote_type, TApplicationException::INTERNAL_ERROR);
  EXPECT_EQ(result.error, "the handler threw");
  EXPECT_FALSE(result.not_executed());
  EXPECT_TRUE(Echo(channel, MakeRequest(2)).ok());
}

TEST_F(ServerTest, DroppedCallback_IsAnsweredForTheHandler) {
  StartServer();
  Channel* const channel = OpenChannel();
  for (const char* how : {"drop", "drop-away"}) {
    const CallResult<EchoReply> result = Echo(channel, MakeRequest(1, how));
    EXPECT_EQ(result.outcome, CallOutcome::kRemoteError) << how;
    EXPECT_EQ(result.remote_type, TApplicationException::INTERNAL_ERROR) << how;
    EXPECT_FALSE(result.not_executed());
  }
}

// A service whose replies begin with a result, as ours do.
class ResultHandler : public ResultServiceCobSvIf {
 public:
  void fetch(std::function<void(const ResultReply&)> cob, const int32_t size) override {
    ResultReply reply;
    reply.result.code = 0;
    reply.__set_words(std::vector<std::string>(static_cast<size_t>(size), "word"));
    cob(reply);
  }
};

TEST_F(ServerTest, AnswerOverALimitOfAServiceWithResults_IsAReplyThatSaysSo) {
  OnServer([&] {
    server_ =
        std::make_unique<Server>(server_loop_->loop(),
                                 std::make_shared<ResultServiceAsyncProcessorT<Codec>>(
                                     std::make_shared<ResultHandler>()),
                                 Limits{}, ServerOptions{.too_large_code = 9});
    address_ = *server_->Listen(*Address::Parse("127.0.0.1:0"));
  });
  using namespace apache::thrift;  // NOLINT: names of one library
  const auto socket =
      std::make_shared<transport::TSocket>(address_.host(), address_.port());
  const auto framed = std::make_shared<transport::TFramedTransport>(socket);
  framed->open();
  ResultServiceClient client(std::make_shared<protocol::TCompactProtocol>(framed));
  // A new reply each time, because Thrift does not change a field that is missing in the
  // answer.
  const auto fetch = [&client](int32_t size) {
    ResultReply reply;
    client.fetch(reply, size);
    return reply;
  };
  EXPECT_EQ(fetch(10).words.size(), 10U);
  const ResultReply reply = fetch(20000);
  EXPECT_EQ(reply.result.code, 9);
  EXPECT_EQ(
      reply.result.message,
      "the answer of fetch has a list of 20000 elements, and 16384 are allowed; ask "
      "for less");
  EXPECT_TRUE(reply.words.empty());
  EXPECT_EQ(fetch(10).result.code, 0);
}

TEST_F(ServerTest, AnswerFromAnotherThread_GoesByWayOfPost) {
  StartServer();
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(1, "away")).ok());
}

TEST_F(ServerTest, CallContext_TellsConnectionsApartAndIsNullOutside) {
  StartServer();
  ASSERT_TRUE(Echo(OpenChannel(), MakeRequest(1, "", 1)).ok());
  const CallContext first = handler_->last_context();
  ASSERT_TRUE(Echo(channels_[0].get(), MakeRequest(1, "", 1)).ok());
  EXPECT_EQ(handler_->last_context().connection, first.connection);
  ASSERT_TRUE(Echo(OpenChannel(), MakeRequest(1, "", 1)).ok());
  const CallContext second = handler_->last_context();
  EXPECT_NE(second.connection, first.connection);
  EXPECT_FALSE(first.connection.is_none());
  EXPECT_EQ(first.peer.host(), "127.0.0.1");
  EXPECT_NE(first.peer, second.peer);
  OnServer([] { EXPECT_EQ(CallContext::Current(), nullptr); });
}

TEST_F(ServerTest, AnswerAfterTheConnectionIsGone_IsDropped) {
  StartServer();
  {
    RawPeer peer(address_);
    ASSERT_TRUE(peer.Send(Framed(EchoCall(1, MakeRequest(1, "hold")))));
    ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 0; }));
  OnServer([this] { handler_->Release(); });
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(2)).ok());
}

TEST_F(ServerTest, AnswerAfterTheServerIsGone_IsDropped) {
  StartServer();
  RawPeer peer(address_);
  ASSERT_TRUE(peer.Send(Framed(EchoCall(1, MakeRequest(1, "hold")))));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  StopServer();
  OnServer([this] { handler_->Release(); });
  EXPECT_TRUE(peer.IsClosedWithin(Duration::Seconds(5)));
}

TEST_F(ServerTest, AnswerOverTheFrameLimit_BecomesAnErrorOfItsCall) {
  Limits limits;
  limits.max_frame_bytes = 1000;
  StartServer(limits);
  Channel* const channel = OpenChannel();
  EXPECT_EQ(Echo(channel, MakeRequest(1, "large", 900)).reply.payload.size(), 900U);
  const CallResult<EchoReply> bad = Echo(channel, MakeRequest(1, "large", 1000));
  EXPECT_EQ(bad.outcome, CallOutcome::kRemoteError);
  EXPECT_THAT(bad.error, HasSubstr("1000 are allowed"));
  EXPECT_FALSE(bad.not_executed());
  EXPECT_TRUE(Echo(channel, MakeRequest(2)).ok());
}

TEST_F(ServerTest, AddressInUse_IsNamedInTheError) {
  StartServer();
  OnServer([this] {
    const absl::StatusOr<Address> again = server_->Listen(address_);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(again.status().message()), HasSubstr(address_.ToString()));
    EXPECT_THAT(std::string(again.status().message()), HasSubstr("in use"));
    const auto foreign = server_->Listen(*Address::Parse("192.0.2.1:7"));
    EXPECT_EQ(foreign.status().code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST_F(ServerTest, SeveralListeners_ServeTheSameService) {
  StartServer();
  const std::string path = SocketPath("second");
  OnServer([&] { ASSERT_TRUE(server_->Listen(Address::Unix(path)).ok()); });
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(1)).ok());
  EXPECT_TRUE(Echo(OpenChannelTo(Address::Unix(path)), MakeRequest(1)).ok());
}

TEST_F(ServerTest, UnixSocketFile_LeftOverIsReplacedAndLiveIsNot) {
  const std::string path = SocketPath("socket");
  { const auto gone = internal::ListenOn(Address::Unix(path), 1); }  // leaves its file
  StartServer({}, "unix:" + path);
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(1)).ok());
  OnServer([&] {
    EXPECT_EQ(server_->Listen(Address::Unix(path)).status().code(),
              absl::StatusCode::kAlreadyExists);
  });
  EXPECT_TRUE(Echo(OpenChannel(), MakeRequest(1)).ok());
  StopServer();
  struct stat file {};
  EXPECT_NE(stat(path.c_str(), &file), 0) << "the server takes its file away";
}

TEST_F(ServerTest, Stop_AnswersWhatIsUnderWayAndRefusesWhatIsNew) {
  StartServer();
  Channel* const channel = OpenChannel();
  std::promise<CallResult<EchoReply>> under_way;
  OnClient([&] {
    StartEcho(channel, MakeRequest(1, "", 50), Duration::Seconds(5),
              [&](CallResult<EchoReply> result) { under_way.set_value(result); });
  });
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  std::promise<void> stopped;
  OnServer([&] { server_->Stop(Duration::Seconds(5), [&] { stopped.set_value(); }); });
  const RawPeer late(address_);
  EXPECT_FALSE(late.connected());
  EXPECT_TRUE(under_way.get_future().get().ok());
  stopped.get_future().get();
  EXPECT_EQ(Stats().connections, 0U);
}

TEST_F(ServerTest, Stop_ClosesAfterGraceWhatIsNotAnswered) {
  StartServer();
  RawPeer peer(address_);
  ASSERT_TRUE(peer.Send(Framed(EchoCall(1, MakeRequest(1, "hold")))));
  ASSERT_TRUE(Eventually([&] { return handler_->waiting.load() == 1; }));
  std::promise<void> stopped;
  OnServer([&] { server_->Stop(Duration::Millis(30), [&] { stopped.set_value(); }); });
  stopped.get_future().get();
  EXPECT_TRUE(peer.IsClosedWithin(Duration::Seconds(5)));
  OnServer([this] { handler_->Release(); });
}

}  // namespace
}  // namespace concordat::rpc::testing
