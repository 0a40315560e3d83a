#include "participant/resources/service/threaded_service.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::service {
namespace {

// Catches what the user's code throws; `failed` makes a result of its text.
template <class Call, class Failed>
auto Guarded(Call call, Failed failed) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& e) {
    return failed(absl::StrCat("exception: ", e.what()));
  } catch (...) {
    return failed(std::string("an exception of unknown type"));
  }
}

absl::Status Unknown(const std::string& why) { return absl::UnknownError(why); }

}  // namespace

void ThreadedService::Post(TaskThreads* threads, TaskThreads::Task task) {
  std::call_once(started_, [this] {
    work_.Start(count_);
    settle_.Start(count_);
  });
  threads->Post(std::move(task));
}

void ThreadedService::Try(const Reservation& reservation, std::string_view request,
                          Callback<TryResult> done) {
  Post(&work_, [this, reservation, request = std::string(request),
                done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->Try(reservation, request); }, TryResult::Failed));
  });
}

void ThreadedService::Confirm(const Reservation& reservation,
                              Callback<absl::Status> done) {
  Post(&settle_, [this, reservation, done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->Confirm(reservation); }, Unknown));
  });
}

void ThreadedService::Cancel(const Reservation& reservation,
                             Callback<absl::Status> done) {
  Post(&settle_, [this, reservation, done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->Cancel(reservation); }, Unknown));
  });
}

void ThreadedService::Lookup(const Reservation& reservation,
                             Callback<absl::StatusOr<State>> done) {
  Post(&settle_, [this, reservation, done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->Lookup(reservation); }, Unknown));
  });
}

void ThreadedService::Query(std::string_view request, Callback<QueryResult> done) {
  Post(&work_, [this, request = std::string(request), done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->Query(request); }, Unknown));
  });
}

void ThreadedService::ForgetBelow(const Gtid& watermark, Callback<absl::Status> done) {
  Post(&settle_, [this, watermark, done = std::move(done)]() mutable {
    done(Guarded([&] { return service_->ForgetBelow(watermark); }, Unknown));
  });
}

}  // namespace concordat::participant::service
