// concordatd: a coordinator node. Runs until SIGTERM or SIGINT.
#include <signal.h>

#include <cstdio>
#include <string>

#include "coordinator/base/daemon_signals.h"
#include "coordinator/base/log.h"
#include "coordinator/base/version.h"
#include "coordinator/daemon/daemon.h"
#include "coordinator/daemon/options.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 64;  // EX_USAGE of sysexits.h

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "concordatd: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace concordat;
  const daemon::Parsed parsed = daemon::ParseCommandLine(argc, argv);
  if (parsed.exit) return parsed.exit_code;
  const daemon::Options& options = parsed.options;

  const auto level = ParseLevel(options.log_level);
  if (!level.ok()) {
    (void)Fail(level.status());
    return kExitUsage;
  }
  LogOptions log;
  log.min_level = *level;
  log.process_name = "concordatd-" + std::to_string(options.self.value());
  log.file = options.log_file;
  if (absl::Status s = InitLogging(log); !s.ok()) return Fail(s);

  const sigset_t signals = BlockDaemonSignals();
  auto running = daemon::Daemon::Start(options);
  if (!running.ok()) {
    LogEvent(Level::kError, "not started")
        .Field("error", std::string(running.status().message()));
    return log.file.empty() ? kExitFailed : Fail(running.status());
  }
  const daemon::Member& self = options.own;
  LogEvent(Level::kInfo, "started")
      .Field("version", Version())
      .Field("cluster", options.cluster_name)
      .Field("node", options.self.value())
      .Field("members", options.members.size())
      .Field("data_dir", options.data_dir)
      .Field("clients", self.client_address)
      .Field("peers", self.peer_address);
  std::printf("concordatd node %llu ready: clients on %s, peers on %s\n",
              static_cast<unsigned long long>(options.self.value()),
              self.client_address.c_str(), self.peer_address.c_str());
  std::fflush(stdout);

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) ReopenLog(log);
  LogEvent(Level::kInfo, "stopping").Field("signal", signal);
  (*running)->HandOver();
  running->reset();
  LogEvent(Level::kInfo, "stopped");
  return 0;
}
