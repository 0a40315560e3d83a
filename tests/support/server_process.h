// Database servers as child processes, which end with the test. They refuse to run as
// root, so a test that runs as root starts them as another user.
#ifndef TESTS_SUPPORT_SERVER_PROCESS_H_
#define TESTS_SUPPORT_SERVER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace concordat::testing {

class ServerProcess {
 public:
  // `user` runs the programs when the test runs as root; "nobody" when there is no such
  // user. Their output is appended to the file `log`. `death_signal` is sent when the
  // test ends without ending the server.
  ServerProcess(const std::string& user, std::string log, int death_signal);

  // Makes the user the owner of the folder.
  void Own(const std::string& folder) const;
  // Runs a program to its end. The test program ends when the exit status is not 0.
  void Run(const std::vector<std::string>& words) const;
  [[nodiscard]] pid_t Spawn(const std::vector<std::string>& words) const;
  [[nodiscard]] std::string Log() const;

 private:
  const std::string log_;
  const int death_signal_;
  uid_t uid_ = 0;  // used when the test runs as root
  gid_t gid_ = 0;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_SERVER_PROCESS_H_
