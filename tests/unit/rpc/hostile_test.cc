// What bad clients send: scenarios 53 to 56. After each of them the server must have
// called no handler, must have allocated nothing large, and must serve others.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "tests/unit/rpc/allocation_watch.h"
#include "tests/unit/rpc/raw_peer.h"
#include "thrift/rpc/process.h"

namespace concordat::rpc::testing {
namespace {

using apache::thrift::TApplicationException;
using ::testing::HasSubstr;

constexpr int kPingSequence = 777;
// The loop's read buffer exists already; a frame of some kilobytes needs no more.
constexpr size_t kLargeAllocation = size_t{512} << 10;

std::string Repeat(std::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text.append(piece);
  return text;
}

// A field header of a struct in the compact protocol: id delta and type.
constexpr char kStruct1 = '\x1C';
constexpr char kList1 = '\x19';
constexpr char kMap2 = '\x2B';
constexpr char kI64Field1 = '\x16';
constexpr char kBinary2 = '\x18';

std::string Tree(std::string_view inside) {
  return Header("countTree", 1, 9).append(1, kStruct1).append(inside);
}

class HostileTest : public RpcTest {
 protected:
  void SetUp() override {
    StartServer();
    Channel* const good = OpenChannel();
    ASSERT_TRUE(Echo(good, MakeRequest(1)).ok());
    handler_->calls = 0;
  }

  void ExpectOthersAreServed() {
    EXPECT_EQ(handler_->calls.load(), 0) << "a handler was called";
    EXPECT_TRUE(Echo(channels_[0].get(), MakeRequest(1)).ok());
    handler_->calls = 0;
  }

  // The connection is closed, without an answer.
  void ExpectClosed(std::string_view bytes) {
    const AllocationWatch watch;
    RawPeer peer(address_);
    peer.Send(bytes);
    EXPECT_TRUE(peer.IsClosedWithin(Duration::Seconds(5)));
    EXPECT_LT(watch.largest(), kLargeAllocation);
    ExpectOthersAreServed();
  }

  // An exception of this type with this sequence id is answered, and the connection stays
  // open.
  void ExpectRefused(std::string_view payload, int error_type, int32_t sequence = 9) {
    const AllocationWatch watch;
    RawPeer peer(address_);
    peer.Send(Framed(payload));
    const std::optional<Answer> answer = peer.ReadAnswer();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->error_type, error_type) << answer->error_text;
    EXPECT_EQ(answer->header.sequence, sequence);
    EXPECT_EQ(handler_->calls.load(), 0) << "a handler was called";
    EXPECT_LT(watch.largest(), kLargeAllocation);
    peer.Send(Framed(PingCall(kPingSequence)));
    const std::optional<Answer> ping = peer.ReadAnswer();
    ASSERT_TRUE(ping.has_value());
    EXPECT_EQ(ping->header.sequence, kPingSequence);
    handler_->calls = 0;
    ExpectOthersAreServed();
  }
};

TEST_F(HostileTest,
       Scenario53_FrameLengthNegativeOrTwoToThe31_ClosedAndNothingAllocated) {
  ExpectClosed("\xFF\xFF\xFF\xFF" + PingCall(1));
  ExpectClosed("\x80" + std::string(3, '\0') + PingCall(1));
  ExpectClosed("\x7F\xFF\xFF\xFF" + PingCall(1));
}

TEST_F(HostileTest, Scenario53_FrameLengthZeroOrOverTheLimit_Closed) {
  ExpectClosed(std::string(4, '\0'));
  const std::string limit_plus_1 = {'\0', '\x10', '\0', '\x01'};
  ExpectClosed(limit_plus_1 + PingCall(1));
}

TEST_F(HostileTest, Scenario53_FrameLengthInPieces_IsCheckedToo) {
  RawPeer peer(address_);
  for (const char byte : std::string("\xFF\xFF\xFF\xFF")) {
    peer.Send(std::string(1, byte));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_TRUE(peer.IsClosedWithin(Duration::Seconds(5)));
  ExpectOthersAreServed();
}

TEST_F(HostileTest, LargestFrameAnnouncedAndNotSent_AllocatesNothingLarge) {
  const AllocationWatch watch;
  RawPeer peer(address_);
  peer.Send(std::string{'\0', '\x10', '\0', '\0'} + "abc");
  EXPECT_FALSE(peer.IsClosedWithin(Duration::Millis(50)));
  EXPECT_LT(watch.largest(), size_t{64} << 10);
  ExpectOthersAreServed();
}

// The server's messages while this object exists.
class Messages {
 public:
  Messages() {
    SetMessageSink([this](const Message& message) {
      MutexLock lock(&mutex_);
      if (message.level < Level::kWarning) return;
      absl::StrAppend(&text_, absl::string_view(message.text.data(), message.text.size()),
                      "\n");
    });
  }
  ~Messages() { SetMessageSink(nullptr); }
  [[nodiscard]] std::string text() {
    MutexLock lock(&mutex_);
    return text_;
  }

 private:
  Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(HostileTest, Scenario56_AnotherProtocol_TheOperatorIsToldWhichAndWhose) {
  const std::map<std::string, std::string> protocols = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP"},
      {std::string("\x16\x03\x01\x02\x00\x01", 6), "a TLS handshake"},
      {std::string("\x80\x01\x00\x01\x00\x00\x00\x04ping", 12),
       "Thrift's binary protocol, without frames"},
      {PingCall(1), "Thrift's compact protocol, without frames"},
      {Framed(std::string("\x80\x01\x00\x01\x00\x00\x00\x04ping", 12)),
       "Thrift's binary protocol"},
      {Framed("[1,\"ping\",1,0,{}]"), "Thrift's JSON protocol"},
  };
  int port = 0;
  for (const auto& [bytes, name] : protocols) {
    // A new name each time, since the messages of one server are limited in number.
    OnServer([&] {
      server_ = std::make_unique<Server>(
          server_loop_->loop(), EchoProcessor(handler_), Limits{},
          ServerOptions{.name = absl::StrCat("s", port++)});
      address_ = *server_->Listen(*Address::Parse("127.0.0.1:0"));
    });
    Messages messages;
    RawPeer peer(address_);
    sockaddr_in own{};
    socklen_t length = sizeof own;
    ASSERT_EQ(getsockname(peer.fd(), reinterpret_cast<sockaddr*>(&own), &length), 0);
    peer.Send(bytes);
    ASSERT_TRUE(peer.IsClosedWithin(Duration::Seconds(5))) << name;
    ASSERT_TRUE(Eventually([&] { return !messages.text().empty(); })) << name;
    EXPECT_THAT(messages.text(), HasSubstr("looks like " + name + "\n"));
    EXPECT_THAT(messages.text(),
                HasSubstr(absl::StrCat("127.0.0.1:", ntohs(own.sin_port))));
  }
}

TEST_F(HostileTest, MoreElementsThanTheLimit_RefusedWithNumberAndLimit) {
  RawPeer peer(address_);
  EchoRequest request = MakeRequest(1);
  request.__set_words(std::vector<std::string>(30000, "x"));
  peer.Send(Framed(EchoCall(9, request)));
  const std::optional<Answer> answer = peer.ReadAnswer();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error_type, TApplicationException::PROTOCOL_ERROR);
  EXPECT_EQ(answer->error_text,
            "the arguments of echo have a list of 30000 elements, and 16384 are allowed");
  ExpectOthersAreServed();
}

class LimitTest : public RpcTest {};

TEST_F(LimitTest, LongerTextThanTheLimit_RefusedWithLengthAndLimit) {
  Limits limits;
  limits.max_string_bytes = 100;
  StartServer(limits);
  RawPeer peer(address_);
  EchoRequest request = MakeRequest(1);
  request.__set_payload(std::string(101, 'x'));
  peer.Send(Framed(EchoCall(9, request)));
  const std::optional<Answer> answer = peer.ReadAnswer();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error_type, TApplicationException::PROTOCOL_ERROR);
  EXPECT_EQ(answer->error_text,
            "the arguments of echo have a text or binary of 101 bytes, and 100 are "
            "allowed");
  EXPECT_EQ(handler_->calls.load(), 0);
  request.__set_payload(std::string(100, 'x'));
  EXPECT_TRUE(Echo(OpenChannel(), request).ok());
}

// The limits are those of one call, on both sides.
TEST_F(LimitTest, ManyCallsOfManyElements_AreServed) {
  StartServer();
  EchoRequest request = MakeRequest(1);
  request.__set_words(std::vector<std::string>(16000, "x"));
  Channel* const channel = OpenChannel();
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(Echo(channel, request).ok()) << i;
}

TEST_F(HostileTest, Scenario56_GarbageBytes_Closed) {
  ExpectClosed("GET / HTTP/1.1\r\n\r\n");
  ExpectClosed(Framed("not thrift at all"));
  ExpectClosed(Framed("\x82"));
  ExpectClosed(Framed("\x82\x22"));  // another version
  ExpectClosed(Framed("\x82\x21"));  // no sequence id
  ExpectClosed(Framed("\x82\x21\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"));
  ExpectClosed(Framed("\x80\x01\x01\x01"));  // the binary protocol
}

TEST_F(HostileTest, Scenario56_SequenceKnownButNoName_Refused) {
  const std::string start = "\x82\x21\x09";
  ExpectRefused(start, TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(start +
                    "\x05"
                    "pi",
                TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(start + Varint(UINT32_MAX), TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(start + Varint(129) + std::string(129, 'x') + std::string(1, '\0'),
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario56_UnknownMethod_Refused) {
  ExpectRefused(Header("drop_tables", 1, 9).append(1, '\0'),
                TApplicationException::UNKNOWN_METHOD);
  ExpectRefused(Header("", 1, 9).append(1, '\0'), TApplicationException::UNKNOWN_METHOD);
}

TEST_F(HostileTest, Scenario56_UnknownMethodWithBadArguments_Refused) {
  ExpectRefused(Header("drop_tables", 1, 9) + Repeat("\x1C", 5000),
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario56_WrongMessageType_Refused) {
  for (const int type : {0, 2, 3, 5, 7}) {
    std::string payload = PingCall(9);
    payload[1] = static_cast<char>(type << 5 | 1);
    ExpectRefused(payload, TApplicationException::INVALID_MESSAGE_TYPE);
  }
}

TEST_F(HostileTest, Scenario56_TruncatedArguments_RefusedAtEveryLength) {
  EchoRequest request = MakeRequest(1, "", 0);
  request.__set_words({"one", "two"});
  const std::string whole = EchoCall(9, request);
  const size_t header = Header("echo", 1, 9).size();
  for (size_t length = header; length < whole.size(); ++length) {
    RawPeer fresh(address_);
    fresh.Send(Framed(whole.substr(0, length)));
    const std::optional<Answer> answer = fresh.ReadAnswer();
    ASSERT_TRUE(answer.has_value()) << length;
    EXPECT_EQ(answer->error_type, TApplicationException::PROTOCOL_ERROR) << length;
  }
  ExpectOthersAreServed();
}

TEST_F(HostileTest, Scenario56_BytesLeftOver_Refused) {
  ExpectRefused(EchoCall(9, MakeRequest(1)) + "x", TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(PingCall(9) + std::string(1, '\0'),
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario56_FieldOfTheWrongType_Refused) {
  const std::string echo = Header("echo", 1, 9);
  const std::string end(1, '\0');
  // The argument is an i64, then a string, then missing.
  ExpectRefused(echo + kI64Field1 + "\x02" + end, TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(echo + kBinary2 + "\x01x" + end, TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(echo + end, TApplicationException::PROTOCOL_ERROR);
  // In the argument, the required id is a string, then missing.
  ExpectRefused(echo + kStruct1 + "\x18\x01x" + end + end,
                TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(echo + kStruct1 + end + end, TApplicationException::PROTOCOL_ERROR);
  // A type that does not exist.
  ExpectRefused(echo + "\x1F" + end, TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario54_ContainerCountsThatOverflow_Refused) {
  const std::string huge = Varint(INT32_MAX);
  const std::string negative = Varint(UINT32_MAX);
  for (const std::string& count : {huge, negative, Varint(1U << 31U), Varint(16385)}) {
    // A list of structs: Thrift counts a struct as no bytes, and would allocate all of
    // them.
    ExpectRefused(Tree(std::string(1, kList1) + "\xFC" + count),
                  TApplicationException::PROTOCOL_ERROR);
    // A map, and a set.
    ExpectRefused(Tree(std::string(1, kMap2) + count + "\x86"),
                  TApplicationException::PROTOCOL_ERROR);
    ExpectRefused(Tree("\x3A\xF5" + count), TApplicationException::PROTOCOL_ERROR);
    // A list in an unknown field: elements of no type take no bytes.
    ExpectRefused(Tree("\x99\xF0" + count), TApplicationException::PROTOCOL_ERROR);
    ExpectRefused(Tree("\x99\xFC" + count), TApplicationException::PROTOCOL_ERROR);
  }
}

TEST_F(HostileTest, Scenario54_CountWithinTheLimitButBeyondTheFrame_AllocatesNothing) {
  ExpectRefused(Tree(std::string(1, kList1) + "\xFC" + Varint(16000)),
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario54_ManyContainersInOneFrame_ShareABudget) {
  // Ten lists of 16,000 empty trees each: each list is within its limit, every byte is
  // there, and together they would take some 30 MB.
  std::string inside = std::string(1, kList1) + "\xAC";
  for (int i = 0; i < 10; ++i) {
    inside += std::string(1, kList1) + "\xFC" + Varint(16000) + std::string(16000, '\0');
    inside.append(1, '\0');
  }
  RawPeer peer(address_);
  peer.Send(Framed(Tree(inside + std::string(2, '\0'))));
  const std::optional<Answer> answer = peer.ReadAnswer();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error_type, TApplicationException::PROTOCOL_ERROR);
  ExpectOthersAreServed();
}

TEST_F(HostileTest, Scenario55_NestingBomb_RefusedAtTheDepthLimit) {
  const std::string level = std::string(1, kList1) + "\x1C";
  for (const int depth : {17, 1000, 50000}) {
    ExpectRefused(
        Tree(Repeat(level, depth) + std::string(static_cast<size_t>(depth) + 2, '\0')),
        TApplicationException::PROTOCOL_ERROR);
  }
  // In unknown fields: structs in structs, lists in lists.
  ExpectRefused(Tree("\x9C" + Repeat("\x1C", 50000)),
                TApplicationException::PROTOCOL_ERROR);
  ExpectRefused(Tree("\x99" + Repeat("\x19", 50000)),
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, Scenario55_DepthLimitReachedOften_StillLetsGoodCallsIn) {
  // Thrift leaves its depth counter raised after the error.
  const std::string bomb = Tree(Repeat(std::string(1, kList1) + "\x1C", 30));
  for (int i = 0; i < 40; ++i) {
    RawPeer peer(address_);
    peer.Send(Framed(bomb));
    ASSERT_TRUE(peer.ReadAnswer().has_value());
  }
  RawPeer peer(address_);
  // Depth 8 is allowed.
  peer.Send(
      Framed(Tree(Repeat(std::string(1, kList1) + "\x1C", 8) + std::string(10, '\0'))));
  const std::optional<Answer> answer = peer.ReadAnswer();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error_type, -1) << answer->error_text;
}

TEST_F(HostileTest, StringLengthThatLies_Refused) {
  const std::string echo = Header("echo", 1, 9) + kStruct1 + kI64Field1 + "\x02";
  for (const uint64_t length :
       {uint64_t{INT32_MAX}, uint64_t{UINT32_MAX}, uint64_t{1} << 20U, uint64_t{100}}) {
    ExpectRefused(echo + kBinary2 + Varint(length) + "abc",
                  TApplicationException::PROTOCOL_ERROR);
  }
  ExpectRefused(echo + kBinary2 + "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
                TApplicationException::PROTOCOL_ERROR);
}

TEST_F(HostileTest, MalformedOneway_Closed) {
  std::string payload = Header("note", 1, 9).append(1, '\0');
  payload[1] = static_cast<char>(2 << 5 | 1);  // a reply
  ExpectRefused(payload, TApplicationException::INVALID_MESSAGE_TYPE);
  std::string oneway = "\x82\x81\x09";
  ExpectClosed(Framed(oneway));
}

TEST_F(HostileTest, BadFramesAgainAndAgain_EndTheConnection) {
  RawPeer peer(address_);
  const Limits limits;
  int answers = 0;
  for (uint32_t i = 0; i < limits.max_bad_frames + 5; ++i) {
    if (!peer.Send(Framed(Header("echo", 1, 9).append(1, '\0')))) break;
    if (!peer.ReadAnswer().has_value()) break;
    ++answers;
  }
  EXPECT_LE(answers, static_cast<int>(limits.max_bad_frames));
  EXPECT_GE(answers, static_cast<int>(limits.max_bad_frames) - 1);
  ExpectOthersAreServed();
}

// Good frames that are changed at random. Whatever happens, the connection answers the
// ping after the frame or is closed, others are served, and nothing large is allocated.
class MutationTest : public HostileTest {
 protected:
  static std::string Mutate(std::string frame, Random* random) {
    const int changes = static_cast<int>(random->Between(1, 4));
    for (int i = 0; i < changes && !frame.empty(); ++i) {
      const size_t at = random->Below(frame.size());
      switch (random->Below(5)) {
        case 0:
          frame[at] = static_cast<char>(random->Next());
          break;
        case 1:
          frame[at] = static_cast<char>(frame[at] ^ (1 << random->Below(8)));
          break;
        case 2:
          frame.erase(at, random->Below(4) + 1);
          break;
        case 3:
          frame.insert(at, std::string(random->Below(3) + 1, static_cast<char>(0xFF)));
          break;
        default:
          frame.insert(at, frame.substr(0, random->Below(frame.size())));
          break;
      }
    }
    return frame;
  }

  // Waits until the ping is answered. False: the connection was closed.
  static bool PingComesBack(RawPeer* peer) {
    if (!peer->Send(Framed(PingCall(kPingSequence)))) return false;
    while (const std::optional<Answer> answer = peer->ReadAnswer()) {
      if (answer->header.sequence == kPingSequence && answer->method == "ping") {
        return true;
      }
    }
    return false;
  }
};

TEST_F(MutationTest, FramesChangedAtRandom_NeverHarmTheServer) {
  constexpr uint64_t kSeed = 20260301;
  constexpr int kFrames = 6000;
  RecordProperty("seed", static_cast<int>(kSeed));
  Random random(kSeed);
  EchoRequest request = MakeRequest(123456789, "", 0);
  request.__set_words({"one", "two", "three"});
  const std::string tree =
      Tree(Repeat(std::string(1, kList1) + "\x1C", 5) + std::string(7, '\0'));
  const std::vector<std::string> seeds = {EchoCall(9, request), PingCall(9), tree};
  const AllocationWatch watch;
  auto peer = std::make_unique<RawPeer>(address_);
  int survived = 0;
  int closed = 0;
  for (int i = 0; i < kFrames; ++i) {
    const std::string frame = Mutate(seeds[random.Below(seeds.size())], &random);
    if (frame.empty()) continue;
    if (peer->Send(Framed(frame)) && PingComesBack(peer.get())) {
      ++survived;
      continue;
    }
    ASSERT_TRUE(peer->IsClosedWithin(Duration::Seconds(5)))
        << "frame " << i << " of seed " << kSeed << ": neither answer nor end";
    ++closed;
    peer = std::make_unique<RawPeer>(address_);
    ASSERT_TRUE(peer->connected());
  }
  EXPECT_GT(survived, kFrames / 4);
  EXPECT_GT(closed, 100);
  EXPECT_LT(watch.largest(), kLargeAllocation);
  handler_->calls = 0;
  ExpectOthersAreServed();
}

TEST_F(MutationTest, StreamsOfRandomBytes_NeverHarmTheServer) {
  Random random(7);
  const AllocationWatch watch;
  for (int i = 0; i < 500; ++i) {
    RawPeer peer(address_);
    std::string bytes(random.Below(200) + 1, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    if (random.Percent(50)) bytes = Framed(bytes);
    if (random.Percent(50)) bytes = Framed(PingCall(1)) + bytes;
    peer.Send(bytes);
  }
  ASSERT_TRUE(Eventually([&] { return Stats().connections == 1; }));
  EXPECT_LT(watch.largest(), kLargeAllocation);
  handler_->calls = 0;
  ExpectOthersAreServed();
}

}  // namespace
}  // namespace concordat::rpc::testing
