// A service for the tests and the benchmark of the RPC runtime. The request's first word
// says what the handler does with it:
//
//   (none)     answers, after delay_ms
//   refuse     answers with the declared exception, after delay_ms
//   large      answers at once, with delay_ms bytes of payload
//   throw      throws out of the handler
//   hold       keeps the callback until Release()
//   drop       destroys the callback
//   drop-away  destroys it in another thread
//   away       answers from another thread, by way of Post
#ifndef TESTS_UNIT_RPC_ECHO_HANDLER_H_
#define TESTS_UNIT_RPC_ECHO_HANDLER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "concordat_rpc_test_wire/EchoService.h"
#include "coordinator/base/mutex.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/server.h"

namespace concordat::rpc::testing {

class EchoHandler : public EchoServiceCobSvIf {
 public:
  explicit EchoHandler(EventLoop* loop) : loop_(loop) {}
  ~EchoHandler() override;

  void ping(std::function<void()> cob) override;
  void echo(std::function<void(const EchoReply&)> cob,
            std::function<void(::apache::thrift::TDelayedException*)> exn_cob,
            const EchoRequest& request) override;
  void echoBatch(std::function<void(const std::vector<EchoReply>&)> cob,
                 const std::vector<EchoRequest>& requests) override;
  void countTree(std::function<void(const int64_t&)> cob, const Tree& tree) override;
  void add(std::function<void(const int64_t&)> cob, const int64_t a,
           const int64_t b) override;
  void note(std::function<void()> cob, const EchoRequest& request) override;

  // Called on the loop's thread: answers the calls that were held.
  void Release();

  std::atomic<int> calls{0};
  std::atomic<int> notes{0};
  std::atomic<int> waiting{0};  // delayed or held, now
  std::atomic<int> most_waiting{0};
  std::atomic<int> contexts_seen{0};

  // The context of the last call of echo.
  [[nodiscard]] CallContext last_context() {
    MutexLock lock(&mutex_);
    return last_context_;
  }

 private:
  void Later(int32_t delay_ms, std::function<void()> answer);
  bool Special(const std::string& word, const std::function<void()>& answer);
  void RememberContext();

  EventLoop* const loop_;
  std::vector<std::function<void()>> held_;
  std::vector<std::thread> threads_;
  Mutex mutex_;
  CallContext last_context_ ABSL_GUARDED_BY(mutex_);
};

[[nodiscard]] std::shared_ptr<apache::thrift::async::TAsyncProcessor> EchoProcessor(
    std::shared_ptr<EchoHandler> handler);

}  // namespace concordat::rpc::testing

#endif  // TESTS_UNIT_RPC_ECHO_HANDLER_H_
