// Many clients at once, each with one transfer at a time, over one asynchronous client.
//
//   Clients clients(surroundings, 64, FromTransfers(transfers));
//   clients.Allow(1000);          // so many may begin; raised during the run
//   while (clients.finished() < 1000) { … }
//   clients.Stop();
//   while (!clients.drained()) { … }
//   Ledger ledger = clients.TakeLedger();
#ifndef EXAMPLES_TRANSFER_CLIENTS_H_
#define EXAMPLES_TRANSFER_CLIENTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "examples/transfer/ledger.h"
#include "examples/transfer/one_transfer.h"
#include "examples/transfer/work.h"

namespace concordat::transfer {

// Thread-safe, unless said otherwise. May be destroyed only when drained().
class Clients {
 public:
  Clients(Surroundings surroundings, size_t count, WorkSource source);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Transfers up to this number may begin. The number must not decrease.
  void Allow(uint64_t transfers);
  // No more transfers begin.
  void Stop();

  [[nodiscard]] uint64_t finished() const { return finished_; }
  [[nodiscard]] uint64_t in_flight() const { return begun_ - finished_; }
  // No transfer is under way, and none will begin: stopped, or the source is empty.
  [[nodiscard]] bool drained() const { return ended_ && in_flight() == 0; }

  // Only when drained().
  [[nodiscard]] Ledger TakeLedger() { return std::move(ledger_); }

 private:
  void BeginWhatMay();

  const Surroundings surroundings_;
  const size_t count_;
  WorkSource source_;
  std::atomic<uint64_t> allowed_{0};
  std::atomic<bool> ended_{false};
  std::atomic<uint64_t> begun_{0};
  std::atomic<uint64_t> finished_{0};
  Ledger ledger_;  // used on the loop's thread until drained
};

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_CLIENTS_H_
