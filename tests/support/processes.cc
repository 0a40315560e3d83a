#include "tests/support/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/base/mutex.h"
#include "examples/processes/reserved_port.h"

namespace concordat::testing {

namespace {

// Until then even a process that a busy disk holds up has ended.
constexpr Duration kEndLimit = Duration::Seconds(120);

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

uint16_t FreePort() {
  static Mutex mutex;
  static auto* const reserved = new std::vector<example::ReservedPort>;
  auto port = example::ReservedPort::Take();
  CONCORDAT_CHECK(port.ok()) << port.status().message();
  MutexLock lock(&mutex);
  reserved->push_back(*std::move(port));
  return static_cast<uint16_t>(reserved->back().port());
}

Child::Child(const std::vector<std::string>& words, std::string log_file)
    : log_file_(std::move(log_file)) {
  auto process = example::ChildProcess::Start(words, log_file_);
  CONCORDAT_CHECK(process.ok()) << process.status().message();
  process_ = *process;
}

void Child::Kill() {
  if (!process_) return;
  process_->Signal(SIGKILL);
  CONCORDAT_CHECK(process_->WaitForEnd(kEndLimit)) << pid() << " does not end";
  process_.reset();
}

int Child::Stop() {
  Signal(SIGTERM);
  return WaitForExit(static_cast<double>(kEndLimit.millis()) / 1000);
}

int Child::WaitForExit(double seconds) {
  const auto limit = Duration::Millis(static_cast<int64_t>(seconds * 1000));
  if (!process_->WaitForEnd(limit)) {
    Kill();
    return -1;
  }
  const int status = process_->ExitStatus();
  process_.reset();
  return status > 128 ? -1 : status;
}

bool Child::WaitForLine(const std::string& text, double seconds) const {
  return WaitUntil(seconds,
                   [&] { return TextOf(log_file_).find(text) != std::string::npos; });
}

double Child::CpuSeconds() const {
  std::ifstream in("/proc/" + std::to_string(pid()) + "/stat");
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
