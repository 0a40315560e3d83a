#include "examples/transfer/clients.h"

#include <utility>

namespace concordat::transfer {

Clients::Clients(Surroundings surroundings, size_t count, WorkSource source)
    : surroundings_(std::move(surroundings)), count_(count), source_(std::move(source)) {}

void Clients::Allow(uint64_t transfers) {
  if (transfers <= allowed_) return;
  allowed_ = transfers;
  surroundings_.client->loop()->Post([this] { BeginWhatMay(); });
}

// Runs on the loop, so that no transfer begins afterwards.
void Clients::Stop() {
  surroundings_.client->loop()->Post([this] { ended_ = true; });
}

void Clients::BeginWhatMay() {
  while (!ended_ && begun_ < allowed_ && in_flight() < count_) {
    std::optional<Work> work = source_();
    if (!work) {
      ended_ = true;
      return;
    }
    const uint64_t number = ++begun_;
    OneTransfer::Start(&surroundings_, number, std::move(*work),
                       [this](LedgerEntry entry) {
                         ledger_.push_back(std::move(entry));
                         ++finished_;
                         BeginWhatMay();
                       });
  }
}

}  // namespace concordat::transfer
