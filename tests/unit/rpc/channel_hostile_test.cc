// A server that answers badly: the caller learns that the outcome is unknown, and nothing
// worse happens to it.
#include <gtest/gtest.h>
#include <thrift/TApplicationException.h>

#include <future>

#include "coordinator/base/random.h"
#include "tests/unit/rpc/allocation_watch.h"
#include "tests/unit/rpc/raw_peer.h"

namespace concordat::rpc::testing {
namespace {

constexpr size_t kLargeForAnswer = size_t{512} << 10;

class HostileServerTest : public RpcTest {
 protected:
  // Calls echo at a server that reads the request and sends the bytes that `answer`
  // returns for the request's sequence id.
  CallResult<EchoReply> CallAndAnswer(
      const std::function<std::string(int32_t sequence)>& answer) {
    Channel* const channel = OpenChannelTo(listener_.address());
    std::promise<CallResult<EchoReply>> promise;
    OnClient([&] {
      StartEcho(channel, MakeRequest(1), Duration::Seconds(20),
                [&](CallResult<EchoReply> result) { promise.set_value(result); });
    });
    const AllocationWatch watch;
    RawPeer peer = listener_.Accept();
    const std::optional<Answer> request = peer.ReadAnswer();
    EXPECT_TRUE(request.has_value());
    if (request.has_value()) peer.Send(answer(request->header.sequence));
    std::future<CallResult<EchoReply>> result = promise.get_future();
    // After an answer that leaves the connection open, the caller is told when it ends.
    if (result.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
      peer.Close();
    }
    EXPECT_LT(watch.largest(), kLargeForAnswer);
    return result.get();
  }

  RawListener listener_;
};

// A result struct with success = EchoReply{id = 1}.
std::string GoodResult() { return std::string("\x0C\0\x16\x02\0\0", 6); }

TEST_F(HostileServerTest, GoodAnswer_IsTaken) {
  const CallResult<EchoReply> result = CallAndAnswer([](int32_t sequence) {
    return Framed(Header("echo", 2, sequence) + GoodResult());
  });
  ASSERT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(result.reply.id, 1);
}

TEST_F(HostileServerTest, BadAnswers_LeaveTheOutcomeUnknown) {
  const std::string huge = Varint(INT32_MAX);
  const std::vector<std::function<std::string(int32_t)>> answers = {
      // The answer of another call, of no call, of another method; a request.
      [](int32_t s) { return Framed(Header("echo", 2, s + 1) + GoodResult()); },
      [](int32_t) { return Framed(Header("echo", 2, 0) + GoodResult()); },
      [](int32_t s) { return Framed(Header("add", 2, s) + GoodResult()); },
      [](int32_t s) { return Framed(Header("echo", 1, s) + GoodResult()); },
      // Garbage, bad lengths, an answer that is cut short, bytes left over.
      [](int32_t) { return Framed("garbage"); },
      [](int32_t) { return std::string("\xFF\xFF\xFF\xFF", 4); },
      [](int32_t) { return std::string(4, '\0'); },
      [](int32_t s) { return Framed(Header("echo", 2, s) + GoodResult().substr(0, 5)); },
      [](int32_t s) { return Framed(Header("echo", 2, s) + GoodResult() + "x"); },
      [](int32_t s) { return Framed(Header("echo", 2, s)); },
      // A string with a false length, a container that overflows, a bomb.
      [&](int32_t s) {
        return Framed(Header("echo", 2, s) + std::string("\x0C\0\x16\x02\x18", 5) + huge);
      },
      [&](int32_t s) { return Framed(Header("echo", 2, s) + "\x99\xFC" + huge); },
      [](int32_t s) { return Framed(Header("echo", 2, s) + std::string(9999, '\x1C')); },
      // The required id is missing.
      [](int32_t s) {
        return Framed(Header("echo", 2, s) + std::string("\x0C\0\0\0", 4));
      },
  };
  for (size_t i = 0; i < answers.size(); ++i) {
    const CallResult<EchoReply> result = CallAndAnswer(answers[i]);
    EXPECT_EQ(result.outcome, CallOutcome::kUnknown)
        << "answer " << i << ": " << ToString(result.outcome) << ", " << result.error;
  }
}

TEST_F(HostileServerTest, ExceptionThatCannotBeRead_IsNoProofThatNothingHappened) {
  const CallResult<EchoReply> result = CallAndAnswer(
      [](int32_t s) { return Framed(Header("echo", 3, s) + "\x18\xFF\xFF\xFF"); });
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_FALSE(result.not_executed());
}

TEST_F(HostileServerTest, AnswersChangedAtRandom_NeverHarmTheCaller) {
  Random random(11);
  for (int i = 0; i < 150; ++i) {
    CallAndAnswer([&](int32_t sequence) {
      std::string payload = Header("echo", 2, sequence) + GoodResult();
      for (uint64_t n = random.Below(3) + 1; n > 0; --n) {
        payload[random.Below(payload.size())] = static_cast<char>(random.Next());
      }
      return Framed(payload);
    });
  }
}

}  // namespace
}  // namespace concordat::rpc::testing
