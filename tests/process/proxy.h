// A TCP proxy between a coordinator and a participant. The test says whether it holds
// their messages, passes them on or closes their connections.
#ifndef TESTS_PROCESS_PROXY_H_
#define TESTS_PROCESS_PROXY_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "coordinator/base/mutex.h"

namespace concordat::testing {

// Thread-safe.
class Proxy {
 public:
  // Listens on a port of its own and passes on to 127.0.0.1:`target_port`.
  explicit Proxy(uint16_t target_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] std::string address() const;

  // While `hold` is true, bytes in that direction are read and kept, in their order.
  void HoldRequests(bool hold);  // towards the participant
  void HoldReplies(bool hold);   // from the participant
  // The number of bytes from the participant that are held now: it has answered, and
  // nobody knows.
  [[nodiscard]] size_t HeldReplyBytes() const { return held_reply_bytes_; }
  // Closes all connections. The bytes that are held are lost.
  void Disconnect();

 private:
  struct Pipe;
  void Accept();
  void Serve(Pipe* pipe);

  const uint16_t target_port_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> hold_requests_{false};
  std::atomic<bool> hold_replies_{false};
  std::atomic<size_t> held_reply_bytes_{0};
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  std::list<std::unique_ptr<Pipe>> pipes_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace concordat::testing

#endif  // TESTS_PROCESS_PROXY_H_
