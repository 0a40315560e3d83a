// What a call costs: a client process and a server process, over loopback TCP and a Unix
// socket. The floor of the same run is a bare ping-pong of as many bytes.
//
//   rpc_bench [seconds for each figure]
//
// Prints one line for each figure. `cpu` is the time of both processes together, for each
// call.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/system_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/rpc/echo_handler.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/server.h"
#include "thrift/rpc/socket.h"

namespace concordat::rpc::testing {
namespace {

Timestamp Now() { return SystemClock().Now(); }

int64_t CpuMicros(int who) {
  rusage usage{};
  getrusage(who, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
         usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

// Runs `child` in another process, with a pipe through which it reports its address.
struct Child {
  pid_t pid = 0;
  std::string address;
};
template <class Function>
Child Fork(Function child) {
  int pipe_fds[2];
  CONCORDAT_CHECK(pipe(pipe_fds) == 0);
  const pid_t pid = fork();
  CONCORDAT_CHECK(pid >= 0);
  if (pid == 0) {
    close(pipe_fds[0]);
    child(pipe_fds[1]);
    _exit(0);
  }
  close(pipe_fds[1]);
  char text[200] = "";
  CONCORDAT_CHECK(read(pipe_fds[0], text, sizeof text - 1) > 0);
  close(pipe_fds[0]);
  return {pid, text};
}

void End(const Child& child) {
  kill(child.pid, SIGTERM);
  waitpid(child.pid, nullptr, 0);
}

void Tell(int fd, const Address& address) {
  const std::string text = address.ToString();
  CONCORDAT_CHECK(write(fd, text.data(), text.size()) ==
                  static_cast<ssize_t>(text.size()));
}

void MakeBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  CONCORDAT_CHECK(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0);
}

// ---- the floor ----

constexpr size_t kPingBytes = 40;  // about what a small call has on the wire

void PingPongServer(const Address& listen, int tell_fd) {
  const internal::OwnedFd fd = *internal::ListenOn(listen, 1);
  Tell(tell_fd, listen.is_unix() ? listen : internal::LocalAddress(fd.get()));
  MakeBlocking(fd.get());
  const internal::OwnedFd peer(accept(fd.get(), nullptr, nullptr));
  internal::TuneSocket(peer.get());
  char bytes[kPingBytes];
  ssize_t got = 0;
  while ((got = recv(peer.get(), bytes, sizeof bytes, 0)) > 0) {
    if (send(peer.get(), bytes, static_cast<size_t>(got), MSG_NOSIGNAL) != got) return;
  }
}

// Microseconds for a round trip: the median.
double MeasureFloor(const Address& listen, Duration time) {
  const Child child = Fork([&](int fd) { PingPongServer(listen, fd); });
  const SocketAddress target = *Address::Parse(child.address)->ToSocketLiteral();
  const internal::OwnedFd fd(socket(target.family(), SOCK_STREAM, 0));
  CONCORDAT_CHECK(connect(fd.get(), reinterpret_cast<const sockaddr*>(&target.storage),
                          target.length) == 0);
  internal::TuneSocket(fd.get());
  char bytes[kPingBytes] = "";
  std::vector<int64_t> nanos;
  const Timestamp end = Now() + time;
  while (Now() < end) {
    for (int i = 0; i < 100; ++i) {
      timespec a{};
      timespec b{};
      clock_gettime(CLOCK_MONOTONIC, &a);
      CONCORDAT_CHECK(send(fd.get(), bytes, sizeof bytes, 0) == sizeof bytes);
      CONCORDAT_CHECK(recv(fd.get(), bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
      clock_gettime(CLOCK_MONOTONIC, &b);
      nanos.push_back((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec);
    }
  }
  End(child);
  std::nth_element(nanos.begin(),
                   nanos.begin() + static_cast<ptrdiff_t>(nanos.size() / 2), nanos.end());
  return static_cast<double>(nanos[nanos.size() / 2]) / 1000;
}

// ---- calls ----

void EchoServer(const Address& listen, int tell_fd) {
  const auto loop = *EventLoop::Create();
  auto handler = std::make_shared<EchoHandler>(loop.get());
  Server server(loop.get(), EchoProcessor(handler));
  Tell(tell_fd, *server.Listen(listen));
  loop->Run();
}

struct Figure {
  double calls_per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
  double client_cpu_us = 0;
};

// Keeps `in_flight` calls under way for `time`.
class Load {
 public:
  Load(EventLoop* loop, Channel* channel, size_t in_flight, size_t batch, Duration time)
      : loop_(loop), channel_(channel), in_flight_(in_flight), time_(time) {
    request_.__set_id(123456);
    request_.__set_payload(std::string(16, 'x'));
    if (batch > 0) requests_.resize(batch, request_);
  }

  Figure Run() {
    const int64_t cpu = CpuMicros(RUSAGE_SELF);
    start_ = Now();
    loop_->Post([this] {
      for (size_t i = 0; i < in_flight_; ++i) Next();
    });
    loop_->RunAfter(time_, [this] { stop_ = true; });
    loop_->Run();
    const auto calls = static_cast<double>(micros_.size());
    Figure figure;
    figure.client_cpu_us = static_cast<double>(CpuMicros(RUSAGE_SELF) - cpu) / calls;
    figure.calls_per_second =
        calls * 1e6 / static_cast<double>((Now() - start_).micros());
    std::sort(micros_.begin(), micros_.end());
    figure.p50_us = static_cast<double>(micros_[micros_.size() / 2]) / 1000;
    figure.p99_us = static_cast<double>(micros_[micros_.size() * 99 / 100]) / 1000;
    return figure;
  }

 private:
  static int64_t Nanos() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
  }

  void Next() {
    ++under_way_;
    const int64_t start = Nanos();
    const auto done = [this, start](const auto& result) {
      CONCORDAT_CHECK(result.ok()) << result.error;
      micros_.push_back(Nanos() - start);
      --under_way_;
      if (!stop_) Next();
      if (under_way_ == 0) loop_->Stop();
    };
    if (requests_.empty()) {
      channel_->Call<EchoService_echo_pargs, EchoService_echo_presult, EchoReply>(
          "echo", request_, Duration::Seconds(30), done);
    } else {
      channel_->Call<EchoService_echoBatch_pargs, EchoService_echoBatch_presult,
                     std::vector<EchoReply>>("echoBatch", requests_,
                                             Duration::Seconds(30), done);
    }
  }

  EventLoop* const loop_;
  Channel* const channel_;
  const size_t in_flight_;
  const Duration time_;
  EchoRequest request_;
  std::vector<EchoRequest> requests_;
  std::vector<int64_t> micros_;
  Timestamp start_;
  size_t under_way_ = 0;
  bool stop_ = false;
};

void Measure(const char* name, const Address& listen, size_t in_flight, size_t batch,
             Duration time, double floor_us) {
  const int64_t children_before = CpuMicros(RUSAGE_CHILDREN);
  const Child child = Fork([&](int fd) { EchoServer(listen, fd); });
  Figure figure;
  {
    const auto loop = *EventLoop::Create();
    Channel channel(loop.get(), *Address::Parse(child.address));
    figure = Load(loop.get(), &channel, in_flight, batch, time).Run();
  }
  End(child);
  const double server_cpu =
      static_cast<double>(CpuMicros(RUSAGE_CHILDREN) - children_before) /
      (figure.calls_per_second * static_cast<double>(time.micros()) / 1e6);
  std::printf(
      "%-5s in flight %4zu  batch %3zu  %9.0f calls/s  p50 %7.1f us  p99 %7.1f us", name,
      in_flight, batch, figure.calls_per_second, figure.p50_us, figure.p99_us);
  if (batch > 0) {
    std::printf("  %9.0f items/s", figure.calls_per_second * static_cast<double>(batch));
  }
  if (in_flight == 1 && batch == 0)
    std::printf("  %.2f x floor", figure.p50_us / floor_us);
  std::printf("  cpu %.2f + %.2f us\n", figure.client_cpu_us, server_cpu);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  const Duration time = Duration::Millis(argc > 1 ? atoi(argv[1]) * 1000 : 2000);
  const concordat::testing::TempDir folder("/tmp");
  const std::string path = folder.File("socket");
  for (const bool is_unix : {false, true}) {
    const Address listen = is_unix ? Address::Unix(path) : Address::Tcp("127.0.0.1", 0);
    const char* const name = is_unix ? "unix" : "tcp";
    const double floor_us = MeasureFloor(listen, time);
    unlink(path.c_str());
    std::printf("%-5s floor: a bare round trip of %zu bytes, p50 %.1f us\n", name,
                kPingBytes, floor_us);
    for (const size_t in_flight : {size_t{1}, size_t{16}, size_t{256}}) {
      Measure(name, listen, in_flight, 0, time, floor_us);
      unlink(path.c_str());
    }
    for (const size_t in_flight : {size_t{1}, size_t{8}}) {
      Measure(name, listen, in_flight, 128, time, floor_us);
      unlink(path.c_str());
    }
  }
  return 0;
}

}  // namespace
}  // namespace concordat::rpc::testing

int main(int argc, char** argv) { return concordat::rpc::testing::Main(argc, argv); }
