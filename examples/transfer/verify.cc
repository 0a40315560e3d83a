#include "examples/transfer/verify.h"

#include <chrono>
#include <thread>

#include "coordinator/base/system_clock.h"

namespace concordat::transfer {

namespace {

constexpr Duration kSettleLimit = Duration::Seconds(60);

absl::Status WaitUntilSettled(Deployment* deployment, Verdict* verdict) {
  const SystemClock clock;
  const Timestamp start = clock.Now();
  for (;;) {
    if (absl::Status s = deployment->Check(); !s.ok()) return s;
    const auto open = deployment->CountOpen();
    verdict->settled_after = clock.Now() - start;
    const bool late = verdict->settled_after > kSettleLimit;
    if (open.ok()) verdict->open = *open;
    if (open.ok() && (open->none() || late)) return absl::OkStatus();
    if (late) return open.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void AskAgain(client::Client* client, Ledger* ledger, Verdict* verdict) {
  for (LedgerEntry& entry : *ledger) {
    if (entry.told != Told::kUnknown) continue;
    switch (client->Ask(entry.gtid).outcome) {
      case Outcome::kCommitted:
        entry.told = Told::kCommitted;
        ++verdict->asked_committed;
        break;
      case Outcome::kAborted:
        entry.told = Told::kAborted;
        ++verdict->asked_aborted;
        break;
      case Outcome::kUnknown:
        ++verdict->asked_in_vain;
        break;
    }
  }
}

}  // namespace

absl::StatusOr<Verdict> Verify(Deployment* deployment, const Book& book,
                               const Accesses& accesses, const Scale& scale,
                               Ledger* ledger) {
  Verdict verdict;
  if (absl::Status s = WaitUntilSettled(deployment, &verdict); !s.ok()) return s;
  AskAgain(deployment->client(), ledger, &verdict);
  const auto contents = ReadEverything(deployment->client(), book, accesses);
  if (!contents.ok()) return contents.status();
  verdict.audit = Audit(book, *ledger, *contents, scale);
  return verdict;
}

}  // namespace concordat::transfer
