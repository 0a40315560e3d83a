// A run of the example's program: in a folder of its own, with its output in files, and
// with a way to find every process that belongs to it.
#ifndef TESTS_PROCESS_TRANSFER_TEST_EXAMPLE_RUN_H_
#define TESTS_PROCESS_TRANSFER_TEST_EXAMPLE_RUN_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "examples/processes/child_process.h"
#include "tests/support/temp_dir.h"

namespace concordat::testing {

class ExampleRun {
 public:
  // Starts the program.
  explicit ExampleRun(const std::vector<std::string>& flags);
  ~ExampleRun();  // kills it if it still runs
  ExampleRun(const ExampleRun&) = delete;
  ExampleRun& operator=(const ExampleRun&) = delete;

  void Signal(int signal) { process_->Signal(signal); }
  // The exit status, or 128 + the signal that ended it; -1 when it takes too long.
  int WaitForEnd(double seconds);
  // False when the output has no such text in that time.
  [[nodiscard]] bool WaitForOutput(const std::string& text, double seconds) const;
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string errors() const;

  // Processes whose command line names this run's folder: its daemons.
  [[nodiscard]] std::vector<pid_t> Daemons() const;
  [[nodiscard]] bool DaemonsAreGoneWithin(double seconds) const;
  // Folders that the program has left behind.
  [[nodiscard]] std::vector<std::string> LeftFolders() const;

  // The numbers of the table, by the text before them: "committed", "before", …
  [[nodiscard]] std::map<std::string, std::string> Table() const;

 private:
  const TempDir dir_;
  const std::string output_file_;
  const std::string error_file_;
  std::optional<example::ChildProcess> process_;
};

}  // namespace concordat::testing

#endif  // TESTS_PROCESS_TRANSFER_TEST_EXAMPLE_RUN_H_
