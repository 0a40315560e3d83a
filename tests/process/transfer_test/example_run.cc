#include "tests/process/transfer_test/example_run.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

std::string ReadAll(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool WaitFor(const std::function<bool()>& condition, double seconds) {
  const double end = NowSeconds() + seconds;
  while (!condition()) {
    if (NowSeconds() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

[[noreturn]] void BecomeTransfer(char* const* words, const std::string& output,
                                 const std::string& errors) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  dup2(open(output.c_str(), flags, 0600), STDOUT_FILENO);
  dup2(open(errors.c_str(), flags, 0600), STDERR_FILENO);
  execv(words[0], words);
  _exit(127);
}

}  // namespace

ExampleRun::ExampleRun(const std::vector<std::string>& flags)
    : dir_(::testing::TempDir()),
      output_file_(dir_.path() + "/output"),
      error_file_(dir_.path() + "/errors") {
  // Database servers of the run go through it, as another user.
  chmod(dir_.path().c_str(), 0711);
  std::vector<std::string> words = {TRANSFER};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = fork();
  CONCORDAT_CHECK(pid_ >= 0);
  if (pid_ > 0) return;
  // The program's own folder goes into this one, and so into its daemons' flags.
  setenv("TMPDIR", dir_.path().c_str(), 1);
  BecomeTransfer(arguments.data(), output_file_, error_file_);
}

ExampleRun::~ExampleRun() {
  Signal(SIGKILL);
  WaitForEnd(10);
  // None should be there; a test that found some has failed, and they do not stay.
  for (const pid_t daemon : Daemons()) kill(daemon, SIGKILL);
}

void ExampleRun::Signal(int signal) const {
  if (!ended_) kill(pid_, signal);
}

int ExampleRun::WaitForEnd(double seconds) {
  ended_ =
      ended_ ||
      WaitFor([this] { return waitpid(pid_, &wait_status_, WNOHANG) == pid_; }, seconds);
  if (!ended_) return -1;
  return WIFSIGNALED(wait_status_) ? 128 + WTERMSIG(wait_status_)
                                   : WEXITSTATUS(wait_status_);
}

bool ExampleRun::WaitForOutput(const std::string& text, double seconds) const {
  return WaitFor([&] { return output().find(text) != std::string::npos; }, seconds);
}

std::string ExampleRun::output() const { return ReadAll(output_file_); }
std::string ExampleRun::errors() const { return ReadAll(error_file_); }

std::vector<pid_t> ExampleRun::Daemons() const {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (ReadAll(entry.path() / "cmdline").find(dir_.path()) != std::string::npos) {
      pids.push_back(std::stoi(name));
    }
  }
  return pids;
}

bool ExampleRun::DaemonsAreGoneWithin(double seconds) const {
  return WaitFor([this] { return Daemons().empty(); }, seconds);
}

std::vector<std::string> ExampleRun::LeftFolders() const {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  return folders;
}

std::map<std::string, std::string> ExampleRun::Table() const {
  std::map<std::string, std::string> table;
  for (const absl::string_view line : absl::StrSplit(output(), '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByString("  "), absl::SkipWhitespace());
    if (words.size() < 2) continue;
    const absl::string_view what = absl::StripAsciiWhitespace(words[words.size() - 2]);
    table[std::string(what)] = std::string(absl::StripAsciiWhitespace(words.back()));
  }
  return table;
}

}  // namespace concordat::testing
