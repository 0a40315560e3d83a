// The programs of a run, by name: starts, kills and restarts them, and ends them all.
//
//   supervisor.Add({.name = "coordinator-1", .words = {"/…/concordatd", …},
//                   .output = dir + "/coordinator-1.out", .ready = "ready"});
//   supervisor.StartAll();
//   supervisor.Kill("coordinator-1");  supervisor.Restart("coordinator-1");
//   supervisor.StopAll();              // SIGTERM, and SIGKILL for who does not go
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
  std::string output;  // file for both outputs
  std::string ready;   // what it prints there when it serves
  std::string log;     // its own log, to be shown when it fails; may be empty
  // StopAll stops it when the others have ended: they use it until then.
  bool serves_others = false;
  // How KillAllForGood ends it. PostgreSQL: SIGQUIT, or it leaves shared memory behind.
  int end_signal = SIGKILL;
};

// KillAllForGood may be called from any thread, the rest from the main thread only
// (child_process.h says why).
class Supervisor {
 public:
  Supervisor() = default;
  ~Supervisor() { KillAllForGood(); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void Add(Program program);
  // Starts all that do not run and waits until each says that it is ready. The error has
  // the last lines that the program wrote.
  [[nodiscard]] absl::Status StartAll();
  // SIGKILL, and waits for the end. An error when it had ended by itself before.
  [[nodiscard]] absl::Status Kill(const std::string& name);
  // Does not wait until it is ready.
  [[nodiscard]] absl::Status Restart(const std::string& name);
  // As StartAll, of one program.
  [[nodiscard]] absl::Status WaitUntilReady(const std::string& name);
  // An error when a program has ended that was not killed.
  [[nodiscard]] absl::Status CheckAll();
  // SIGTERM to all. Names those that did not end well within a few seconds.
  [[nodiscard]] std::vector<std::string> StopAll();
  // Ends all at once; nothing can be started any more.
  void KillAllForGood();

 private:
  struct Running {
    Program program;
    std::optional<ChildProcess> process;
    uint64_t output_before = 0;  // length of the output file at its start
  };

  [[nodiscard]] absl::Status Start(Running* running)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopThose(bool serving_others, std::vector<std::string>* bad)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when it is ready, an error when it has ended.
  [[nodiscard]] absl::StatusOr<bool> IsReady(const std::string& name);
  [[nodiscard]] Running* Find(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] static absl::Status Ended(const Running& running);

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Running> programs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_SUPERVISOR_H_
