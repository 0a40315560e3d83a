// Runs a blocking Service on threads, so that no caller waits. The functions that end a
// reservation have threads of their own: a Try that blocks for long delays other Tries,
// but no Confirm.
#ifndef PARTICIPANT_RESOURCES_SERVICE_THREADED_SERVICE_H_
#define PARTICIPANT_RESOURCES_SERVICE_THREADED_SERVICE_H_

#include <cstddef>
#include <memory>
#include <mutex>

#include "participant/resources/service/service.h"
#include "participant/resources/service/task_threads.h"

namespace concordat::participant::service {

// Thread-safe.
class ThreadedService final : public AsyncService {
 public:
  // `threads` is the number of threads for Try and Query, and of those for the other
  // functions.
  ThreadedService(std::unique_ptr<Service> service, size_t threads)
      : service_(std::move(service)), count_(threads) {}

  void Try(const Reservation& reservation, std::string_view request,
           Callback<TryResult> done) override;
  void Confirm(const Reservation& reservation, Callback<absl::Status> done) override;
  void Cancel(const Reservation& reservation, Callback<absl::Status> done) override;
  void Lookup(const Reservation& reservation,
              Callback<absl::StatusOr<State>> done) override;
  [[nodiscard]] bool IsQuery(std::string_view request) const override {
    return service_->IsQuery(request);
  }
  void Query(std::string_view request, Callback<QueryResult> done) override;
  void ForgetBelow(const Gtid& watermark, Callback<absl::Status> done) override;
  void Close() override {
    work_.Stop();
    settle_.Stop();
  }

 private:
  void Post(TaskThreads* threads, TaskThreads::Task task);

  const std::unique_ptr<Service> service_;
  const size_t count_;
  // Set when the first call starts the threads. They are not started earlier, so that the
  // program can still block signals for all threads.
  std::once_flag started_;
  TaskThreads work_;    // for Try and Query
  TaskThreads settle_;  // for the other functions
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_THREADED_SERVICE_H_
