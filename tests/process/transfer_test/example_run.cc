#include "tests/process/transfer_test/example_run.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/check.h"
#include "tests/support/processes.h"

namespace concordat::testing {

namespace {

// A shell that becomes the program; its $1 is the file for standard error.
std::vector<std::string> Words(const TempDir& dir, const std::string& error_file,
                               const std::vector<std::string>& flags) {
  // The program's own folder goes into this one, and so into its daemons' flags.
  std::vector<std::string> words = {"/usr/bin/env",
                                    "TMPDIR=" + dir.path(),
                                    "/bin/sh",
                                    "-c",
                                    "file=$1; shift; exec \"$@\" 2>\"$file\"",
                                    "sh",
                                    error_file,
                                    TRANSFER};
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

}  // namespace

ExampleRun::ExampleRun(const std::vector<std::string>& flags)
    : dir_(::testing::TempDir()),
      output_file_(dir_.path() + "/output"),
      error_file_(dir_.path() + "/errors") {
  // Database servers of the run go through it, as another user.
  chmod(dir_.path().c_str(), 0711);
  auto process =
      example::ChildProcess::Start(Words(dir_, error_file_, flags), output_file_);
  CONCORDAT_CHECK(process.ok()) << process.status().message();
  process_ = *process;
}

ExampleRun::~ExampleRun() {
  Signal(SIGKILL);
  WaitForEnd(10);
  // None should be there; a test that found some has failed, and they do not stay.
  for (const pid_t daemon : Daemons()) kill(daemon, SIGKILL);
}

int ExampleRun::WaitForEnd(double seconds) {
  const auto limit = Duration::Millis(static_cast<int64_t>(seconds * 1000));
  return process_->WaitForEnd(limit) ? process_->ExitStatus() : -1;
}

bool ExampleRun::WaitForOutput(const std::string& text, double seconds) const {
  return WaitUntil(seconds, [&] { return output().find(text) != std::string::npos; });
}

std::string ExampleRun::output() const { return TextOf(output_file_); }
std::string ExampleRun::errors() const { return TextOf(error_file_); }

std::vector<pid_t> ExampleRun::Daemons() const {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (TextOf(entry.path() / "cmdline").find(dir_.path()) != std::string::npos) {
      pids.push_back(std::stoi(name));
    }
  }
  return pids;
}

bool ExampleRun::DaemonsAreGoneWithin(double seconds) const {
  return WaitUntil(seconds, [this] { return Daemons().empty(); });
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
