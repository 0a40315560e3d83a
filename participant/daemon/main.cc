// concordat-rm: a participant. Runs until SIGTERM or SIGINT. "concordat-rm init" makes a
// database ready for it, and ends.
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "coordinator/base/daemon_signals.h"
#include "coordinator/base/log.h"
#include "coordinator/base/version.h"
#include "participant/daemon/daemon.h"
#include "participant/daemon/init_command.h"
#include "participant/daemon/options.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 64;  // EX_USAGE of sysexits.h

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "concordat-rm: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

// Waits until a signal to stop comes (returns its number), or `failed` is set (returns
// 0).
int WaitForStop(const sigset_t& signals, const std::atomic<bool>& failed,
                const concordat::LogOptions& log) {
  const timespec poll{0, 50'000'000};
  while (!failed.load()) {
    const int signal = sigtimedwait(&signals, nullptr, &poll);
    if (signal == SIGHUP) {
      concordat::ReopenLog(log);
    } else if (signal > 0) {
      return signal;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace concordat;
  if (argc > 1 && std::string_view(argv[1]) == "init") {
    return participant::RunInitCommand(argc - 1, argv + 1);
  }
  const participant::ParsedOptions parsed = participant::ParseCommandLine(argc, argv);
  if (parsed.exit) return parsed.exit_code;
  const participant::DaemonOptions& options = parsed.options;

  const auto level = ParseLevel(options.log_level);
  if (!level.ok()) {
    (void)Fail(level.status());
    return kExitUsage;
  }
  LogOptions log;
  log.min_level = *level;
  log.process_name = "concordat-rm";
  log.file = options.log_file;
  if (absl::Status s = InitLogging(log); !s.ok()) return Fail(s);

  const sigset_t signals = BlockDaemonSignals();
  std::atomic<bool> failed{false};
  absl::Status why;  // written before `failed` is set
  auto daemon =
      participant::Daemon::Start(options, [&](absl::StatusOr<std::string> ready) {
        if (ready.ok()) {
          LogEvent(Level::kInfo, "started")
              .Field("version", Version())
              .Field("resources", options.resources.size())
              .Field("address", *ready);
          std::printf("concordat-rm ready on %s\n", ready->c_str());
          std::fflush(stdout);
        } else {
          why = ready.status();
          failed.store(true);
        }
      });
  if (!daemon.ok()) {
    (void)Fail(daemon.status());
    return absl::IsInvalidArgument(daemon.status()) ? kExitUsage : kExitFailed;
  }

  const int signal = WaitForStop(signals, failed, log);
  if (signal > 0) LogEvent(Level::kInfo, "stopping").Field("signal", signal);
  daemon->reset();
  LogEvent(Level::kInfo, "stopped");
  return failed.load() ? Fail(why) : 0;
}
