// Sockets and frames made by hand, to send what no proper peer would send, and a server
// and a client to send it to.
#ifndef TESTS_UNIT_RPC_RAW_PEER_H_
#define TESTS_UNIT_RPC_RAW_PEER_H_

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/support/waiting.h"
#include "tests/unit/rpc/echo_handler.h"
#include "thrift/rpc/socket.h"

namespace concordat::rpc::testing {

// Four bytes of length and the payload.
[[nodiscard]] std::string Framed(std::string_view payload);

// The beginning of a message in the compact protocol; type 1 is a call, 2 a reply.
[[nodiscard]] std::string Header(std::string_view method, int type, int32_t sequence);
[[nodiscard]] std::string Varint(uint64_t value);
// A well-formed call of echo.
[[nodiscard]] std::string EchoCall(int32_t sequence, const EchoRequest& request);
[[nodiscard]] std::string PingCall(int32_t sequence);
[[nodiscard]] EchoRequest MakeRequest(int64_t id, std::string word = "",
                                      int32_t delay_ms = 0);

// The contents of a frame that came back.
struct Answer {
  MessageHeader header;  // without the name, which would point into a moved string
  std::string method;
  std::string payload;
  // Type and text of a TApplicationException, if the answer is one.
  int error_type = -1;
  std::string error_text;
};

// A blocking socket.
class RawPeer {
 public:
  explicit RawPeer(const Address& address);
  explicit RawPeer(internal::OwnedFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] bool connected() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // False: the other end is closed.
  bool Send(std::string_view bytes);
  // Returns the payload of the next frame; none at the end of the stream or after the
  // time.
  [[nodiscard]] std::optional<std::string> ReadFrame(
      Duration wait = Duration::Seconds(5));
  [[nodiscard]] std::optional<Answer> ReadAnswer(Duration wait = Duration::Seconds(5));
  // True: the other end closes, and sends nothing before that.
  [[nodiscard]] bool IsClosedWithin(Duration wait);
  void Close() { fd_.Reset(); }

 private:
  [[nodiscard]] bool ReadExactly(size_t size, Duration wait, std::string* bytes);
  internal::OwnedFd fd_;
};

// A listening socket that does only what the test makes it do.
class RawListener {
 public:
  explicit RawListener(int backlog = 16);
  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] RawPeer Accept();
  void Close() { fd_.Reset(); }

 private:
  internal::OwnedFd fd_;
  Address address_;
};

using concordat::testing::Eventually;

// A server on a thread of its own, and channels on a second thread.
class RpcTest : public ::testing::Test {
 protected:
  RpcTest();
  ~RpcTest() override;

  void StartServer(const Limits& limits = {}, const std::string& listen = "127.0.0.1:0");
  void StopServer();
  [[nodiscard]] ServerStats Stats();
  // A channel belongs to the client's loop: use it inside OnClient.
  Channel* OpenChannel(const Limits& limits = {}, ChannelOptions options = {});
  Channel* OpenChannelTo(const Address& address, const Limits& limits = {},
                         ChannelOptions options = {});
  void OnClient(absl::AnyInvocable<void()> function);
  void OnServer(absl::AnyInvocable<void()> function);
  // Calls echo and waits for the outcome.
  CallResult<EchoReply> Echo(Channel* channel, const EchoRequest& request,
                             Duration deadline = Duration::Seconds(10));
  // A path for a Unix socket, in a folder that is removed with the test.
  [[nodiscard]] std::string SocketPath(const std::string& name);

  std::unique_ptr<LoopThread> server_loop_;
  std::unique_ptr<LoopThread> client_loop_;
  std::shared_ptr<EchoHandler> handler_;
  std::unique_ptr<Server> server_;
  Address address_;
  std::vector<std::unique_ptr<Channel>> channels_;

 private:
  std::optional<concordat::testing::TempDir> folder_;
};

// Starts a call of echo. Called on the loop's thread.
void StartEcho(Channel* channel, const EchoRequest& request, Duration deadline,
               CallCallback<EchoReply> callback);

}  // namespace concordat::rpc::testing

#endif  // TESTS_UNIT_RPC_RAW_PEER_H_
