// Checks for programmer errors, kept on in release builds.
//
//   CONCORDAT_CHECK(index > commit_index) << "appending below the commit index";
//
// A failed check prints the place, the condition and the message to standard error, and
// ends the process with abort(): a coordinator whose invariants do not hold must not go
// on answering. Checks are not for expected errors (absl::Status) nor for failed writes
// (FatalIoError, below).
#ifndef COORDINATOR_BASE_CHECK_H_
#define COORDINATOR_BASE_CHECK_H_

#include <sstream>
#include <string_view>

namespace concordat {

namespace internal {

// Collects the message and aborts the process when it is destroyed.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure();

  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Gives the ternary in the macro the same type on both sides.
struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace internal

// Ends the process after a write or a flush has failed: the contents of the disk are then
// not known, and a second flush can report success for bytes that were dropped. Prints
// `what` (the file, the operation, the error) and what to do next, and calls
// _exit(kExitStorageFailed). A test may install another handler, which must not return
// normally.
inline constexpr int kExitStorageFailed = 74;  // EX_IOERR of sysexits.h
[[noreturn]] void FatalIoError(std::string_view what);

using FatalIoHandler = void (*)(std::string_view what);
// Returns the handler that was installed before. Not thread-safe.
FatalIoHandler SetFatalIoHandlerForTest(FatalIoHandler handler);

}  // namespace concordat

#define CONCORDAT_CHECK(condition)                    \
  (__builtin_expect(static_cast<bool>(condition), 1)) \
      ? (void)0                                       \
      : ::concordat::internal::Voidify() &            \
            ::concordat::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()

#endif  // COORDINATOR_BASE_CHECK_H_
