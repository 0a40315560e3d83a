#include "thrift/rpc/process.h"

#include <signal.h>
#include <thrift/Thrift.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/base/text.h"
#include "thrift/rpc/message_limiter.h"

namespace concordat::rpc {

namespace {

struct Sink {
  Mutex mutex;
  std::shared_ptr<const MessageSink> function ABSL_GUARDED_BY(mutex);
  internal::MessageLimiter limiter ABSL_GUARDED_BY(mutex);
};

Sink& TheSink() {
  static Sink* const sink = new Sink;  // never destroyed: it outlives every thread
  return *sink;
}

void WriteToLog(const Message& message) {
  LogEvent(message.level, message.event)
      .Field("source", message.source)
      .Field("detail", message.text);
}

}  // namespace

void PrepareProcess() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current {};
    if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      signal(SIGPIPE, SIG_IGN);
    }
    apache::thrift::GlobalOutput.setOutputFunction([](const char* text) {
      Report({Level::kWarning, "thrift message", "thrift", text});
    });
  });
}

void SetMessageSink(MessageSink sink) {
  auto function = sink ? std::make_shared<const MessageSink>(std::move(sink)) : nullptr;
  MutexLock lock(&TheSink().mutex);
  TheSink().function = std::move(function);
}

void Report(const Message& message) {
  std::shared_ptr<const MessageSink> function;
  std::optional<uint64_t> left_out;
  {
    MutexLock lock(&TheSink().mutex);
    function = TheSink().function;
    if (function == nullptr && !LogEnabled(message.level)) return;
    const std::string kind =
        absl::StrCat(ToAbsl(message.event), "/", ToAbsl(message.source));
    left_out = TheSink().limiter.Admit(kind, SystemClock().Now());
  }
  if (!left_out.has_value()) return;
  Message out = message;
  std::string text;
  if (*left_out > 0) {
    text = absl::StrCat(ToAbsl(message.text), " (", *left_out,
                        " more like it were not written)");
    out.text = text;
  }
  function != nullptr ? (*function)(out) : WriteToLog(out);
}

}  // namespace concordat::rpc
