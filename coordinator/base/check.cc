#include "coordinator/base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace concordat {

namespace internal {

CheckFailure::CheckFailure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": check failed: " << condition << " ";
}

CheckFailure::~CheckFailure() {
  const std::string message = stream_.str() + "\n";
  std::fputs(message.c_str(), stderr);
  std::fflush(stderr);
  std::abort();
}

}  // namespace internal

namespace {
FatalIoHandler g_fatal_io_handler = nullptr;
}  // namespace

void FatalIoError(std::string_view what) {
  if (g_fatal_io_handler != nullptr) g_fatal_io_handler(what);
  std::string message = "storage failed: ";
  message.append(what);
  message +=
      "\nThe process ends here, because what reached the disk is not known and a flush "
      "must not be retried. Check the disk, then start the process again: it recovers "
      "from its log.\n";
  std::fputs(message.c_str(), stderr);
  std::fflush(stderr);
  _exit(kExitStorageFailed);
}

FatalIoHandler SetFatalIoHandlerForTest(FatalIoHandler handler) {
  FatalIoHandler previous = g_fatal_io_handler;
  g_fatal_io_handler = handler;
  return previous;
}

}  // namespace concordat
