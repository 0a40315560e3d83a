// Results of resource managers, from any thread, for the participant's loop. The loop is
// woken once for all results that arrive before it runs, so a log that flushes for many
// branches costs one wake-up.
#ifndef PARTICIPANT_SDK_INBOX_H_
#define PARTICIPANT_SDK_INBOX_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/mutex.h"
#include "participant/sdk/core/branch_io.h"
#include "participant/sdk/resource_manager.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant {

struct ExecuteResult {
  AfterExecute after = AfterExecute::kActive;
  ExecuteReplyPtr reply;  // never null
};
struct CommitResult : FinishResult {};
struct RollbackResult : FinishResult {};
using RecoverResult = absl::StatusOr<std::vector<BranchId>>;
using FoundResult = std::vector<FoundBranch>;
struct GenerationResult {
  uint64_t generation = 0;  // the one that was to be set
  absl::Status status;
};

struct InboxItem {
  size_t resource = 0;  // index in Participant::resources_
  BranchId branch;
  std::variant<ExecuteResult, PrepareResult, CommitResult, RollbackResult, OnePhaseResult,
               Evidence, RecoverResult, FoundResult, GenerationResult>
      result;
};

// Thread-safe. Resource managers that still owe a result keep it alive after the
// participant's end.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  // `on_items` runs on the loop's thread when there are results to take.
  Inbox(rpc::EventLoop* loop, absl::AnyInvocable<void()> on_items)
      : posts_(loop->post_queue()), on_items_(std::move(on_items)) {}

  void Push(InboxItem item) {
    bool post = false;
    {
      MutexLock lock(&mutex_);
      items_.push_back(std::move(item));
      post = !awake_;
      awake_ = true;
    }
    if (post) Wake();
  }

  // The following functions are for the loop's thread.

  // From now on Push() does not wake the loop, until Take() has returned nothing.
  void SuppressWakeUps() {
    MutexLock lock(&mutex_);
    awake_ = true;
  }
  [[nodiscard]] std::vector<InboxItem> Take() {
    MutexLock lock(&mutex_);
    if (items_.empty()) awake_ = false;
    return std::exchange(items_, {});
  }
  void Wake() {
    posts_->Post([self = shared_from_this()] {
      if (self->on_items_) self->on_items_();
    });
  }
  // The participant is being destroyed: on_items is not called any more.
  void Close() { on_items_ = nullptr; }

 private:
  const std::shared_ptr<rpc::PostQueue> posts_;
  absl::AnyInvocable<void()> on_items_;  // empty after Close
  Mutex mutex_;
  std::vector<InboxItem> items_ ABSL_GUARDED_BY(mutex_);  // results not taken yet
  // The loop has been woken, or looks by itself.
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_INBOX_H_
