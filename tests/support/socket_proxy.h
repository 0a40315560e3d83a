// A unix socket that passes on what it gets to a database server's. Told to hold the
// answers, it lets the server work, and nobody hear of it. Told to cut, it ends the
// connections of the clients, and the server does not see it; new connections are passed
// on as before.
#ifndef TESTS_SUPPORT_SOCKET_PROXY_H_
#define TESTS_SUPPORT_SOCKET_PROXY_H_

#include <string>
#include <thread>
#include <vector>

#include "coordinator/base/mutex.h"
#include "tests/support/processes.h"

namespace concordat::testing {

class SocketProxy {
 public:
  explicit SocketProxy(std::string target, const std::string& name = "s");
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;

  [[nodiscard]] const std::string& folder() const { return dir_.path(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  // Of the connections there are: answers are kept back, for good.
  void HoldAnswers();
  // The same for the connection that was made last.
  void HoldAnswersOfTheLast();
  void Disconnect();

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    bool holds = false;
  };
  void Run();
  void Accept();
  // False: one side has ended.
  [[nodiscard]] static bool Pass(int from, int to);
  void Wake();

  const std::string target_;
  TempDir dir_;
  const std::string path_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Pair> pairs_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> cut_off_ ABSL_GUARDED_BY(mutex_);  // kept open
  std::thread thread_;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_SOCKET_PROXY_H_
