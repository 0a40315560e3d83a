#include "tests/support/socket_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CONCORDAT_CHECK(path.size() < sizeof(address.sun_path)) << path;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int Socket() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CONCORDAT_CHECK(fd >= 0);
  return fd;
}

}  // namespace

SocketProxy::SocketProxy(std::string target, const std::string& name)
    : target_(std::move(target)),
      dir_("/tmp"),
      path_(dir_.path() + "/" + name),
      listener_(Socket()) {
  const sockaddr_un address = AddressOf(path_);
  CONCORDAT_CHECK(bind(listener_, reinterpret_cast<const sockaddr*>(&address),
                       sizeof(address)) == 0 &&
                  listen(listener_, 32) == 0 && pipe(wake_) == 0);
  thread_ = std::thread([this] { Run(); });
}

SocketProxy::~SocketProxy() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  Wake();
  thread_.join();
  MutexLock lock(&mutex_);
  for (const Pair& pair : pairs_) {
    close(pair.client);
    close(pair.server);
  }
  for (const int fd : cut_off_) close(fd);
  for (const int fd : {listener_, wake_[0], wake_[1]}) close(fd);
}

void SocketProxy::Disconnect() {
  MutexLock lock(&mutex_);
  for (const Pair& pair : pairs_) {
    close(pair.client);
    cut_off_.push_back(pair.server);
  }
  pairs_.clear();
  Wake();
}

void SocketProxy::HoldAnswers() {
  MutexLock lock(&mutex_);
  for (Pair& pair : pairs_) pair.holds = true;
  Wake();
}

void SocketProxy::HoldAnswersOfTheLast() {
  MutexLock lock(&mutex_);
  CONCORDAT_CHECK(!pairs_.empty());
  pairs_.back().holds = true;
  Wake();
}

void SocketProxy::Wake() { CONCORDAT_CHECK(write(wake_[1], "x", 1) == 1); }

void SocketProxy::Accept() {
  // CLOEXEC: a server that is started meanwhile must not inherit the socket and keep it
  // open.
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = Socket();
  const sockaddr_un address = AddressOf(target_);
  if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    close(client);
    close(server);
    return;
  }
  MutexLock lock(&mutex_);
  pairs_.push_back({client, server, false});
}

bool SocketProxy::Pass(int from, int to) {
  char bytes[65536];
  const ssize_t n = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  return send(to, bytes, static_cast<size_t>(n), MSG_NOSIGNAL) == n;
}

void SocketProxy::Run() {
  while (true) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    {
      MutexLock lock(&mutex_);
      if (stop_) return;
      for (const Pair& pair : pairs_) {
        fds.push_back({pair.client, POLLIN, 0});
        if (!pair.holds) fds.push_back({pair.server, POLLIN, 0});
      }
    }
    (void)poll(fds.data(), fds.size(), -1);
    if (fds[0].revents != 0) Accept();
    char byte;
    if (fds[1].revents != 0) (void)!read(wake_[0], &byte, 1);
    MutexLock lock(&mutex_);
    std::erase_if(pairs_, [](const Pair& pair) {
      if (Pass(pair.client, pair.server) &&
          (pair.holds || Pass(pair.server, pair.client))) {
        return false;
      }
      close(pair.client);
      close(pair.server);
      return true;
    });
  }
}

}  // namespace concordat::testing
