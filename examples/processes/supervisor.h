// The programs of a run, by name: starts, kills, restarts and stops them.
//
//   supervisor.Add({.name = "coordinator-1",
//                   .words = {"/usr/bin/concordatd", "--config", dir + "/1.conf"},
//                   .output = dir + "/1.out",
//                   .ready = "ready",
//                   .log = dir + "/1.log"});
//   absl::Status started = supervisor.StartAll();
//   absl::Status killed = supervisor.Kill("coordinator-1");
//   absl::Status restarted = supervisor.Restart("coordinator-1");
//   std::vector<std::string> bad = supervisor.StopAll();
#ifndef EXAMPLES_PROCESSES_SUPERVISOR_H_
#define EXAMPLES_PROCESSES_SUPERVISOR_H_

#include <signal.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/base/mutex.h"
#include "examples/processes/child_process.h"

namespace concordat::example {

struct Program {
  std::string name;
  std::vector<std::string> words;
  std::string output;  // the file for standard output and error
  std::string ready;   // what it prints there when it is ready
  std::string log;     // its own log, which is shown when it fails; may be empty
  // Other programs use it, so StopAll stops it after them.
  bool serves_others = false;
  // The signal of KillAllForGood. PostgreSQL needs SIGQUIT, or it leaves shared memory.
  int end_signal = SIGKILL;
};

// KillAllForGood may be called on any thread, everything else only on the main thread
// (child_process.h says why).
class Supervisor {
 public:
  Supervisor() = default;
  ~Supervisor() { KillAllForGood(); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void Add(Program program);
  // Starts all programs that do not run, and waits until each is ready. The error has the
  // last lines of the program's output.
  [[nodiscard]] absl::Status StartAll();
  // Sends SIGKILL and waits for the end. An error: the program had ended before.
  [[nodiscard]] absl::Status Kill(const std::string& name);
  // Starts a program again. Does not wait until it is ready.
  [[nodiscard]] absl::Status Restart(const std::string& name);
  // Waits as StartAll does, for one program.
  [[nodiscard]] absl::Status WaitUntilReady(const std::string& name);
  // An error: a program has ended that was not killed.
  [[nodiscard]] absl::Status CheckAll();
  // Sends SIGTERM to all, and SIGKILL to those that do not end within a few seconds.
  // Returns the names of the programs that have not ended cleanly.
  [[nodiscard]] std::vector<std::string> StopAll();
  // Ends all programs at once. None can be started afterwards.
  void KillAllForGood();

 private:
  struct Running {
    Program program;
    std::optional<ChildProcess> process;  // nullopt: not started, or killed
    uint64_t output_before = 0;           // length of the output file at its start
  };

  [[nodiscard]] absl::Status Start(Running* running)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopThose(bool serving_others, std::vector<std::string>* bad)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether it is ready. An error: it has ended.
  [[nodiscard]] absl::StatusOr<bool> IsReady(const std::string& name);
  [[nodiscard]] Running* Find(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] static absl::Status Ended(const Running& running);

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // by KillAllForGood
  std::vector<Running> programs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_SUPERVISOR_H_
