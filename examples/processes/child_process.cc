#include "examples/processes/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"

namespace concordat::example {

namespace {

// As in shells.
constexpr int kExitNotStarted = 127;
constexpr int kSignalExitBase = 128;

// Runs between fork and exec, as a copy of one thread of a process with several threads,
// so it may call only the functions that signal-safety(7) lists.
[[noreturn]] void BecomeProgram(char* const* words, int output, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExitNotStarted);  // the parent has died already
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, 0);
  execv(words[0], words);
  _exit(kExitNotStarted);
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& words,
                                                 const std::string& output_file) {
  if (access(words[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot run ", words[0], ": ", strerror(errno)));
  }
  const int output =
      open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", output_file, ": ", strerror(errno)));
  }
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(arguments.data(), output, parent);
  const int error = errno;
  close(output);
  if (pid < 0) return absl::UnavailableError(absl::StrCat("fork: ", strerror(error)));
  return ChildProcess(pid);
}

bool ChildProcess::Running() {
  if (running_ && waitpid(pid_, &wait_status_, WNOHANG) == pid_) running_ = false;
  return running_;
}

void ChildProcess::Signal(int signal) {
  if (Running()) kill(pid_, signal);
}

bool ChildProcess::WaitForEnd(Duration timeout) {
  const SystemClock clock;
  const Timestamp give_up = clock.Now() + timeout;
  while (Running()) {
    if (clock.Now() >= give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string ChildProcess::HowItEnded() const {
  if (WIFSIGNALED(wait_status_)) {
    return absl::StrCat("killed by signal ", WTERMSIG(wait_status_));
  }
  return absl::StrCat("ended with status ", WEXITSTATUS(wait_status_));
}

int ChildProcess::ExitStatus() const {
  return WIFSIGNALED(wait_status_) ? kSignalExitBase + WTERMSIG(wait_status_)
                                   : WEXITSTATUS(wait_status_);
}

absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& words,
                                       const std::string& output_file, Duration limit) {
  std::error_code absent;
  const auto before = std::filesystem::file_size(output_file, absent);
  auto process = ChildProcess::Start(words, output_file);
  if (!process.ok()) return process.status();
  const bool ended = process->WaitForEnd(limit);
  if (!ended) {
    process->Signal(SIGKILL);
    (void)process->WaitForEnd(limit);
  }
  std::ifstream in(output_file, std::ios::binary);
  if (!absent) in.seekg(static_cast<std::streamoff>(before));
  const std::string output{std::istreambuf_iterator<char>(in),
                           std::istreambuf_iterator<char>()};
  if (ended && process->ExitStatus() == 0) return output;
  return absl::UnavailableError(absl::StrCat(
      words[0], " ", ended ? process->HowItEnded() : "took too long", ": ", output));
}

}  // namespace concordat::example
