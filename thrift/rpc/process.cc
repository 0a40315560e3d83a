#include "thrift/rpc/process.h"

#include <signal.h>
#include <thrift/Thrift.h>

#include <memory>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/mutex.h"

namespace concordat::rpc {

namespace {

struct Sink {
  Mutex mutex;
  std::shared_ptr<const MessageSink> function ABSL_GUARDED_BY(mutex);
};

Sink& TheSink() {
  static Sink* const sink = new Sink;  // outlives every thread
  return *sink;
}

}  // namespace

void PrepareProcess() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current {};
    if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      signal(SIGPIPE, SIG_IGN);
    }
    apache::thrift::GlobalOutput.setOutputFunction(
        [](const char* message) { Report(message); });
  });
}

void SetMessageSink(MessageSink sink) {
  auto function = sink ? std::make_shared<const MessageSink>(std::move(sink)) : nullptr;
  MutexLock lock(&TheSink().mutex);
  TheSink().function = std::move(function);
}

void Report(std::string_view line) {
  std::shared_ptr<const MessageSink> function;
  {
    MutexLock lock(&TheSink().mutex);
    function = TheSink().function;
  }
  if (function != nullptr) (*function)(line);
}

}  // namespace concordat::rpc
