#include "tests/unit/service/model_service.h"

#include <utility>

namespace concordat::participant::service {

void ModelWorld::Release() {
  std::vector<std::function<void()>> run;
  {
    MutexLock lock(&mutex);
    hold.clear();
    run.swap(held);
  }
  for (auto& body : run) body();
}

void ModelService::Run(const std::string& kind, const Reservation& reservation,
                       std::function<void()> body) {
  {
    MutexLock lock(&world_->mutex);
    const std::string id = reservation.Id();
    world_->calls.push_back(kind + " " + id);
    if (!world_->busy.insert(ToString(reservation.branch)).second) {
      world_->violations.push_back("two calls at once for " + id);
    }
    if (world_->ended.contains(id)) {
      world_->violations.push_back(kind + " after the end of " + id);
    }
    if (world_->hold == kind) {
      world_->held.push_back(std::move(body));
      return;
    }
  }
  body();
}

int ModelService::Failure(const std::string& kind) {
  auto& planned = world_->failures[kind];
  if (!planned.empty()) {
    const bool after = planned.front();
    planned.pop_front();
    return after ? 2 : 1;
  }
  if (world_->fails && kind != "try" && world_->fails()) return world_->fails() ? 2 : 1;
  return 0;
}

TryResult ModelService::DoTry(const std::string& id, const std::string& request) {
  if (!world_->tried.insert(id).second) {
    world_->violations.push_back("second try of " + id);
  }
  if (world_->store.rows.contains(id)) {
    world_->violations.push_back("try of one that is there: " + id);
  }
  if (request == "break") return TryResult::Failed("broken");
  const std::string seat = request.substr(request.find(' ') + 1);
  const std::string now = world_->store.Seat(seat);
  if (now == "sold") return TryResult::Refused(seat + " is sold");
  if (now == "held") return TryResult::Conflict(seat + " is held");
  world_->store.rows[id] = {State::kTried, seat};
  if (request.rfind("break ", 0) == 0) return TryResult::Failed("lost the answer");
  return TryResult::Reserved("booked " + seat);
}

void ModelService::Try(const Reservation& reservation, std::string_view request,
                       Callback<TryResult> done) {
  Step();
  auto shared = std::make_shared<Callback<TryResult>>(std::move(done));
  Run("try", reservation, [this, reservation, request = std::string(request), shared] {
    TryResult result;
    {
      MutexLock lock(&world_->mutex);
      result = DoTry(reservation.Id(), request);
      world_->busy.erase(ToString(reservation.branch));
    }
    Step();
    (*shared)(std::move(result));
  });
}

void ModelService::Confirm(const Reservation& reservation, Callback<absl::Status> done) {
  Settle("confirm", reservation, std::move(done));
}

void ModelService::Cancel(const Reservation& reservation, Callback<absl::Status> done) {
  Settle("cancel", reservation, std::move(done));
}

void ModelService::Settle(const std::string& kind, const Reservation& reservation,
                          Callback<absl::Status> done) {
  Step();
  auto shared = std::make_shared<Callback<absl::Status>>(std::move(done));
  Run(kind, reservation, [this, kind, reservation, shared] {
    absl::Status result;
    {
      MutexLock lock(&world_->mutex);
      const std::string id = reservation.Id();
      const bool confirm = kind == "confirm";
      const int failure = Failure(kind);
      auto& rows = world_->store.rows;
      const auto row = rows.find(id);
      const bool there = row != rows.end();
      if (confirm ? !there || row->second.state != State::kTried
                  : there && row->second.state != State::kTried) {
        world_->violations.push_back("not one to " + kind + ": " + id);
      } else if (failure != 1) {
        const std::string seat = there ? row->second.seat : "";
        if (!confirm && world_->forgetful) {
          rows.erase(id);
        } else {
          rows[id] = {confirm ? State::kConfirmed : State::kCancelled, seat};
        }
      }
      if (failure != 0) {
        result = absl::UnavailableError(kind + " is out of order");
      } else {
        world_->ended.insert(id);
      }
      world_->busy.erase(ToString(reservation.branch));
    }
    Step();
    (*shared)(result);
  });
}

void ModelService::Lookup(const Reservation& reservation,
                          Callback<absl::StatusOr<State>> done) {
  auto shared = std::make_shared<Callback<absl::StatusOr<State>>>(std::move(done));
  Run("lookup", reservation, [this, reservation, shared] {
    absl::StatusOr<State> result = State::kUnknown;
    {
      MutexLock lock(&world_->mutex);
      const auto row = world_->store.rows.find(reservation.Id());
      if (row != world_->store.rows.end()) result = row->second.state;
      if (Failure("lookup") != 0) {
        result = absl::UnavailableError("lookup is out of order");
      }
      world_->busy.erase(ToString(reservation.branch));
    }
    (*shared)(result);
  });
}

void ModelService::Query(std::string_view request, Callback<QueryResult> done) {
  QueryResult result = absl::InvalidArgumentError("show which seat?");
  {
    MutexLock lock(&world_->mutex);
    if (request.size() > 5) {
      result = world_->store.Seat(std::string(request.substr(5)));
    }
  }
  done(std::move(result));
}

void ModelService::ForgetBelow(const Gtid& watermark, Callback<absl::Status> done) {
  {
    MutexLock lock(&world_->mutex);
    world_->forgotten.push_back(watermark);
  }
  done(absl::OkStatus());
}

}  // namespace concordat::participant::service
