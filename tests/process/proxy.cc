#include "tests/process/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

constexpr int kPollMs = 5;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Reads what is there into `held`. False when the peer has closed.
bool ReadSome(int fd, std::string* held) {
  char buffer[65536];
  const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n > 0) held->append(buffer, static_cast<size_t>(n));
  return n > 0 || (n < 0 && errno == EAGAIN);
}

bool WriteAll(int fd, std::string* held) {
  while (!held->empty()) {
    const ssize_t n = send(fd, held->data(), held->size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    held->erase(0, static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

struct Proxy::Pipe {
  int client = -1;
  int server = -1;
  std::atomic<bool> cut{false};
  std::thread thread;
};

Proxy::Proxy(uint16_t target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  CONCORDAT_CHECK(
      bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CONCORDAT_CHECK(listen(listener_, 64) == 0);
  socklen_t length = sizeof(address);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Proxy::~Proxy() {
  stop_ = true;
  acceptor_.join();
  close(listener_);
  MutexLock lock(&mutex_);
  for (auto& pipe : pipes_) pipe->cut = true;
  for (auto& pipe : pipes_) pipe->thread.join();
}

std::string Proxy::address() const { return "127.0.0.1:" + std::to_string(port_); }

void Proxy::HoldRequests(bool hold) { hold_requests_ = hold; }
void Proxy::HoldReplies(bool hold) { hold_replies_ = hold; }

void Proxy::Disconnect() {
  MutexLock lock(&mutex_);
  for (auto& pipe : pipes_) pipe->cut = true;
}

void Proxy::Accept() {
  while (!stop_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, kPollMs) <= 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in target = Loopback(target_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) !=
        0) {
      close(client);
      close(server);
      continue;
    }
    auto pipe = std::make_unique<Pipe>();
    pipe->client = client;
    pipe->server = server;
    Pipe* raw = pipe.get();
    pipe->thread = std::thread([this, raw] { Serve(raw); });
    MutexLock lock(&mutex_);
    pipes_.push_back(std::move(pipe));
  }
}

void Proxy::Serve(Pipe* pipe) {
  std::string requests;
  std::string replies;
  bool open = true;
  size_t counted = 0;  // of `replies`, in held_reply_bytes_
  while (open && !pipe->cut && !stop_) {
    pollfd waiting[2] = {{pipe->client, POLLIN, 0}, {pipe->server, POLLIN, 0}};
    poll(waiting, 2, kPollMs);
    if (waiting[0].revents != 0) open = ReadSome(pipe->client, &requests);
    if (waiting[1].revents != 0) open = ReadSome(pipe->server, &replies) && open;
    if (!hold_requests_) open = WriteAll(pipe->server, &requests) && open;
    if (!hold_replies_) open = WriteAll(pipe->client, &replies) && open;
    held_reply_bytes_ += replies.size() - counted;
    counted = replies.size();
  }
  held_reply_bytes_ -= counted;
  close(pipe->client);
  close(pipe->server);
}

}  // namespace concordat::testing
