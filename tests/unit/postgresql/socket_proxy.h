// A unix socket that passes on what it gets to PostgreSQL's, until it is told to cut: the
// client then sees its connections end, the server does not. New connections are passed
// on as before.
#ifndef TESTS_UNIT_POSTGRESQL_SOCKET_PROXY_H_
#define TESTS_UNIT_POSTGRESQL_SOCKET_PROXY_H_

#include <string>
#include <thread>
#include <vector>

#include "coordinator/base/mutex.h"
#include "tests/support/processes.h"

namespace concordat::participant {

class SocketProxy {
 public:
  explicit SocketProxy(std::string target);
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;

  // Where libpq finds it, as its "host".
  [[nodiscard]] const std::string& folder() const { return dir_.path(); }
  void Cut();

 private:
  struct Pair {
    int client = -1;
    int server = -1;
  };
  void Run();
  void Accept();
  // False: one side has ended.
  [[nodiscard]] static bool Pass(int from, int to);

  const std::string target_;
  testing::TempDir dir_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Pair> pairs_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> cut_off_ ABSL_GUARDED_BY(mutex_);  // kept open
  std::thread thread_;
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_POSTGRESQL_SOCKET_PROXY_H_
