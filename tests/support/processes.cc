#include "tests/support/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Returns a listening socket on a port that the system chooses.
int ListenSomewhere(uint16_t* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  CONCORDAT_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CONCORDAT_CHECK(listen(fd, 1) == 0);
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  *port = ntohs(address.sin_port);
  return fd;
}

void NoDelay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

double MedianRoundTrip(double seconds) {
  uint16_t port = 0;
  const int listener = ListenSomewhere(&port);
  std::thread echo([listener] {
    const int peer = accept(listener, nullptr, nullptr);
    NoDelay(peer);
    char byte = 0;
    while (read(peer, &byte, 1) == 1 && write(peer, &byte, 1) == 1) {
    }
    close(peer);
  });
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  CONCORDAT_CHECK(
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  NoDelay(fd);
  std::vector<double> times;
  const double end = NowSeconds() + seconds;
  while (NowSeconds() < end) {
    const double begin = NowSeconds();
    char byte = 'x';
    CONCORDAT_CHECK(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1);
    times.push_back((NowSeconds() - begin) * 1e6);
  }
  close(fd);
  echo.join();
  close(listener);
  return Median(times);
}

double MedianFlush(const std::string& dir, double seconds) {
  const std::string path = dir + "/floor";
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  const off_t size = 16 << 20;
  CONCORDAT_CHECK(fd >= 0 && posix_fallocate(fd, 0, size) == 0);
  const std::string block(512, 'x');
  for (off_t at = 0; at < size; at += 4096) {  // written once, as the log's files are
    CONCORDAT_CHECK(pwrite(fd, block.data(), block.size(), at) > 0);
  }
  fsync(fd);
  std::vector<double> times;
  const double end = NowSeconds() + seconds;
  for (off_t at = 0; NowSeconds() < end; at = (at + 512) % size) {
    const double begin = NowSeconds();
    CONCORDAT_CHECK(pwrite(fd, block.data(), block.size(), at) > 0 && fdatasync(fd) == 0);
    times.push_back((NowSeconds() - begin) * 1e6);
  }
  close(fd);
  unlink(path.c_str());
  return Median(times);
}

}  // namespace

TempDir::TempDir(const std::string& parent) {
  std::string pattern = parent + "/concordat-bench-XXXXXX";
  CONCORDAT_CHECK(mkdtemp(pattern.data()) != nullptr) << pattern;
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint16_t FreePort() {
  constexpr uint32_t kFirst = 10240;
  constexpr uint32_t kCount = 32000 - kFirst;
  // Programs that run at the same time start at different ports.
  static std::atomic<uint32_t> next{std::random_device()() % kCount};
  for (uint32_t tries = 0; tries < kCount; ++tries) {
    const auto port = static_cast<uint16_t>(kFirst + next++ % kCount);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(port);
    const bool free =
        bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        listen(fd, 1) == 0;
    close(fd);
    if (free) return port;
  }
  CONCORDAT_CHECK(false) << "no port is free";
  return 0;
}

Child::Child(std::vector<std::string> words, std::string log_file)
    : log_file_(std::move(log_file)) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  CONCORDAT_CHECK(pid_ >= 0) << "fork failed";
  if (pid_ > 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int fd = open(log_file_.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

Child::~Child() { Kill(); }

void Child::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Child::Pause() { kill(pid_, SIGSTOP); }

void Child::Resume() { kill(pid_, SIGCONT); }

int Child::Stop() {
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int Child::WaitForExit(double seconds) {
  const double end = NowSeconds() + seconds;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (NowSeconds() >= end) {
      Kill();
      return -1;
    }
    SleepMs(5);
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Child::WaitForLine(const std::string& text, double seconds) const {
  const double end = NowSeconds() + seconds;
  while (NowSeconds() < end) {
    if (TextOf(log_file_).find(text) != std::string::npos) return true;
    SleepMs(10);
  }
  return false;
}

double Child::CpuSeconds() const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/stat");
  std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const size_t name_end = all.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(all.substr(name_end + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // fields 3 to 13
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::string TextOf(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

double Percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(at),
                   values.end());
  return values[at];
}

Floor MeasureFloor(const std::string& dir, double seconds) {
  return Floor{MedianFlush(dir, seconds), MedianRoundTrip(seconds)};
}

std::string ProgramDir() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

}  // namespace concordat::testing
