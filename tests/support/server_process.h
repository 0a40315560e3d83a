// Database servers as child processes: they refuse to run as root, so then they run as a
// user of their own, and end with the test.
#ifndef TESTS_SUPPORT_SERVER_PROCESS_H_
#define TESTS_SUPPORT_SERVER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace concordat::testing {

class ServerProcess {
 public:
  // As this user, when the test runs as root; "nobody" when there is no such user. What
  // the programs say goes to the end of the file `log`. `death_signal` is sent when the
  // test ends without ending the server.
  ServerProcess(const std::string& user, std::string log, int death_signal);

  // The folder becomes the user's.
  void Own(const std::string& folder) const;
  // Runs a program to its end, which must be a good one.
  void Run(const std::vector<std::string>& words) const;
  [[nodiscard]] pid_t Spawn(const std::vector<std::string>& words) const;
  [[nodiscard]] std::string Log() const;

 private:
  const std::string log_;
  const int death_signal_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_SERVER_PROCESS_H_
