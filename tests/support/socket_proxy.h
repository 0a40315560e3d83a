// A Unix socket that forwards connections to that of a database server. HoldAnswers()
// lets the server work while its answers do not arrive. Disconnect() closes the clients'
// connections without the server noticing it; new connections are forwarded as before.
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
  // Holds all later answers on the present connections back; they are never sent.
  void HoldAnswers();
  // The same, for the newest connection only.
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
  // False: one side has closed the connection.
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
  std::vector<int> cut_off_ ABSL_GUARDED_BY(mutex_);  // server sides, kept open
  std::thread thread_;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_SOCKET_PROXY_H_
