#include "tests/support/server_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "coordinator/base/check.h"
#include "tests/support/processes.h"

namespace concordat::testing {

namespace {

void BecomeServer(uid_t uid, gid_t gid, const std::string& log, pid_t parent,
                  int death_signal) {
  const int fd = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  if (getuid() == 0 &&
      (setgroups(0, nullptr) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) {
    _exit(126);
  }
  // A change of the user clears this setting, so it is made last.
  prctl(PR_SET_PDEATHSIG, death_signal);
  if (getppid() != parent) _exit(1);
  if (chdir("/") != 0) _exit(126);
}

}  // namespace

ServerProcess::ServerProcess(const std::string& user, std::string log, int death_signal)
    : log_(std::move(log)), death_signal_(death_signal) {
  if (getuid() != 0) return;
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) entry = getpwnam("nobody");
  CONCORDAT_CHECK(entry != nullptr) << "no user to run the server as";
  uid_ = entry->pw_uid;
  gid_ = entry->pw_gid;
}

void ServerProcess::Own(const std::string& folder) const {
  if (getuid() == 0) CONCORDAT_CHECK(chown(folder.c_str(), uid_, gid_) == 0) << folder;
}

pid_t ServerProcess::Spawn(const std::vector<std::string>& words) const {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  CONCORDAT_CHECK(pid >= 0) << "fork failed";
  if (pid > 0) return pid;
  BecomeServer(uid_, gid_, log_, parent, death_signal_);
  execv(arguments[0], arguments.data());
  _exit(127);
}

void ServerProcess::Run(const std::vector<std::string>& words) const {
  const pid_t pid = Spawn(words);
  int status = 0;
  waitpid(pid, &status, 0);
  CONCORDAT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << words[0] << ": " << Log();
}

std::string ServerProcess::Log() const { return TextOf(log_); }

}  // namespace concordat::testing
