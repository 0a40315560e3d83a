#include "tests/unit/rpc/raw_peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <future>

namespace concordat::rpc::testing {

std::string Framed(std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(size >> static_cast<unsigned>(shift)));
  }
  return frame.append(payload);
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7U) {
    bytes.push_back(static_cast<char>(value | 0x80U));
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string Header(std::string_view method, int type, int32_t sequence) {
  std::string bytes = "\x82";
  bytes.push_back(static_cast<char>(type << 5 | 1));
  bytes += Varint(static_cast<uint32_t>(sequence));
  bytes += Varint(method.size());
  return bytes.append(method);
}

std::string EchoCall(int32_t sequence, const EchoRequest& request) {
  const std::shared_ptr<Codec> codec = MakeWriter();
  EchoService_echo_pargs arguments;
  arguments.request = &request;
  arguments.write(codec.get());
  const FrameBuffer& buffer = *codec->buffer();
  return Header("echo", 1, sequence)
      .append(reinterpret_cast<const char*>(buffer.output()), buffer.output_size());
}

std::string PingCall(int32_t sequence) {
  return Header("ping", 1, sequence).append(1, '\0');
}

EchoRequest MakeRequest(int64_t id, std::string word, int32_t delay_ms) {
  EchoRequest request;
  request.__set_id(id);
  request.__set_payload("payload of " + std::to_string(id));
  request.__set_delay_ms(delay_ms);
  if (!word.empty()) request.__set_words({std::move(word)});
  return request;
}

RawPeer::RawPeer(const Address& address) {
  const absl::StatusOr<SocketAddress> target = address.ToSocketLiteral();
  internal::OwnedFd fd(socket(target->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&target->storage),
              target->length) == 0) {
    fd_ = std::move(fd);
  }
}

bool RawPeer::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

bool RawPeer::ReadExactly(size_t size, Duration wait, std::string* bytes) {
  bytes->clear();
  while (bytes->size() < size) {
    pollfd poll_fd{fd_.get(), POLLIN, 0};
    if (poll(&poll_fd, 1, static_cast<int>(wait.millis())) <= 0) return false;
    std::string chunk(size - bytes->size(), '\0');
    const ssize_t got = recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (got <= 0) return false;
    bytes->append(chunk, 0, static_cast<size_t>(got));
  }
  return true;
}

std::optional<std::string> RawPeer::ReadFrame(Duration wait) {
  std::string length;
  if (!ReadExactly(4, wait, &length)) return std::nullopt;
  uint32_t size = 0;
  for (const char byte : length) size = size << 8U | static_cast<uint8_t>(byte);
  std::string payload;
  if (!ReadExactly(size, wait, &payload)) return std::nullopt;
  return payload;
}

std::optional<Answer> RawPeer::ReadAnswer(Duration wait) {
  std::optional<std::string> payload = ReadFrame(wait);
  if (!payload.has_value()) return std::nullopt;
  Answer answer;
  answer.payload = std::move(*payload);
  const auto* data = reinterpret_cast<const uint8_t*>(answer.payload.data());
  answer.header = ReadMessageHeader(data, answer.payload.size());
  answer.method = std::string(std::exchange(answer.header.name, {}));
  if (answer.header.type == apache::thrift::protocol::T_EXCEPTION) {
    const std::shared_ptr<Codec> codec = MakeReader(Limits{});
    codec->BeginRead(data + answer.header.size,
                     answer.payload.size() - answer.header.size);
    apache::thrift::TApplicationException error;
    error.read(codec.get());
    answer.error_type = error.getType();
    answer.error_text = error.what();
  }
  return answer;
}

bool RawPeer::IsClosedWithin(Duration wait) {
  pollfd poll_fd{fd_.get(), POLLIN, 0};
  if (poll(&poll_fd, 1, static_cast<int>(wait.millis())) <= 0) return false;
  char byte = 0;
  return recv(fd_.get(), &byte, 1, 0) <= 0;
}

RawListener::RawListener(int backlog) {
  absl::StatusOr<internal::OwnedFd> fd =
      internal::ListenOn(Address::Tcp("127.0.0.1", 0), backlog);
  EXPECT_TRUE(fd.ok()) << fd.status();
  fd_ = std::move(*fd);
  address_ = internal::LocalAddress(fd_.get());
  fcntl(fd_.get(), F_SETFL, 0);  // blocking
}

RawPeer RawListener::Accept() {
  return RawPeer(internal::OwnedFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

void StartEcho(Channel* channel, const EchoRequest& request, Duration deadline,
               CallCallback<EchoReply> callback) {
  channel->Call<EchoService_echo_pargs, EchoService_echo_presult, EchoReply>(
      "echo", request, deadline, std::move(callback));
}

RpcTest::RpcTest() {
  server_loop_ = *LoopThread::Start();
  client_loop_ = *LoopThread::Start();
  handler_ = std::make_shared<EchoHandler>(server_loop_->loop());
}

RpcTest::~RpcTest() {
  OnClient([this] { channels_.clear(); });
  StopServer();
  client_loop_->StopAndJoin();
  server_loop_->StopAndJoin();
}

void RpcTest::StartServer(const Limits& limits, const std::string& listen) {
  OnServer([&] {
    server_ = std::make_unique<Server>(server_loop_->loop(), EchoProcessor(handler_),
                                       limits, ServerOptions{.name = "test"});
    const absl::StatusOr<Address> address = server_->Listen(*Address::Parse(listen));
    ASSERT_TRUE(address.ok()) << address.status();
    address_ = *address;
  });
}

void RpcTest::StopServer() {
  OnServer([this] { server_ = nullptr; });
}

ServerStats RpcTest::Stats() {
  ServerStats stats;
  OnServer([&] { stats = server_->stats(); });
  return stats;
}

Channel* RpcTest::OpenChannel(const Limits& limits, ChannelOptions options) {
  return OpenChannelTo(address_, limits, options);
}

Channel* RpcTest::OpenChannelTo(const Address& address, const Limits& limits,
                                ChannelOptions options) {
  OnClient([&] {
    channels_.push_back(
        std::make_unique<Channel>(client_loop_->loop(), address, limits, options));
  });
  return channels_.back().get();
}

void RpcTest::OnClient(absl::AnyInvocable<void()> function) {
  client_loop_->RunSync(std::move(function));
}

void RpcTest::OnServer(absl::AnyInvocable<void()> function) {
  server_loop_->RunSync(std::move(function));
}

CallResult<EchoReply> RpcTest::Echo(Channel* channel, const EchoRequest& request,
                                    Duration deadline) {
  std::promise<CallResult<EchoReply>> promise;
  OnClient([&] {
    StartEcho(channel, request, deadline, [&promise](CallResult<EchoReply> result) {
      promise.set_value(std::move(result));
    });
  });
  return promise.get_future().get();
}

std::string RpcTest::SocketPath(const std::string& name) {
  if (!folder_.has_value()) folder_.emplace("/tmp");
  return folder_->File(name);
}

}  // namespace concordat::rpc::testing
