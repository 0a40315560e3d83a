#include "coordinator/base/lifetime.h"

#include <functional>

#include "thrift/rpc/event_loop.h"

namespace concordat {

struct Session;
using Done = std::function<void(const char*)>;

struct Pool {
  void Acquire(std::function<void(Session*)> taker);
};

struct Owner {
  rpc::EventLoop* loop_;
  Lifetime lifetime_;

  void SendAll();
  void Run(Session* session, Done done);
  void Schedule() {
    // EXAMPLE
  }
  void Use(Pool* pool, Done done) {
    // EXAMPLE
  }
};

}  // namespace concordat
