// transfer: money between banks while coordinators are killed. See --help, and
// docs/transfer-example.md.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "examples/processes/console.h"
#include "examples/processes/interrupt.h"
#include "examples/processes/supervisor.h"
#include "examples/processes/temp_folder.h"
#include "examples/transfer/bank_data.h"
#include "examples/transfer/deployment.h"
#include "examples/transfer/input_plan.h"
#include "examples/transfer/options.h"
#include "examples/transfer/report.h"
#include "examples/transfer/run_transfers.h"
#include "examples/transfer/verify.h"

namespace concordat::transfer {
namespace {

constexpr size_t kShownBadRows = 20;

int ExitStatusOf(const absl::Status& status) {
  if (absl::IsNotFound(status)) return example::kExitNoInput;
  if (absl::IsInvalidArgument(status) || absl::IsDataLoss(status))
    return example::kExitBadData;
  return example::kExitUnavailable;
}

int Fail(const absl::Status& status) {
  std::fflush(stdout);
  std::fprintf(stderr, "transfer: %s\n", std::string(status.message()).c_str());
  return ExitStatusOf(status);
}

// What must be ended and removed at every end of the program.
struct Belongings {
  std::unique_ptr<example::TempFolder> folder;
  example::Supervisor supervisor;

  // Ends the process at once, because transfers may be under way. The folder is kept, so
  // that the reason can be found.
  [[noreturn]] void GiveUp(const absl::Status& status) {
    example::StandStillIfInterrupted();
    supervisor.KillAllForGood();
    folder->Keep();
    Fail(status);
    std::fprintf(stderr, "transfer: data and logs are kept in %s\n",
                 folder->path().c_str());
    std::fflush(stderr);
    _exit(example::kExitUnavailable);
  }
};

void NameBadRows(const std::vector<BadRow>& rows) {
  for (size_t i = 0; i < rows.size() && i < kShownBadRows; ++i) {
    std::printf("skipped: %s\n", ToString(rows[i]).c_str());
  }
  if (rows.size() > kShownBadRows) {
    std::printf("skipped: %zu bad rows in all\n", rows.size());
  }
}

absl::StatusOr<std::unique_ptr<Deployment>> Deploy(const Options& options,
                                                   Belongings* belongings) {
  if (options.embedded) {
    return StartEmbedded(options.banks, belongings->folder->path());
  }
  const auto programs = example::FindPrograms();
  if (!programs.ok()) return absl::UnavailableError(programs.status().message());
  return StartCluster(*programs, options.banks, belongings->folder->path(),
                      &belongings->supervisor);
}

// Opens the accounts, and returns the total of the balances before the first transfer.
absl::StatusOr<Money> OpenAndCount(Deployment* deployment, const Book& book,
                                   const Accesses& accesses, const Scale& scale) {
  absl::Status opened = OpenAccounts(deployment->client(), book, accesses);
  if (!opened.ok()) return opened;
  const auto contents = ReadEverything(deployment->client(), book, accesses);
  if (!contents.ok()) return contents.status();
  const AuditResult audit = Audit(book, {}, *contents, scale);
  if (audit.agrees()) return audit.money_after;
  return absl::InternalError(
      absl::StrCat("the accounts were not opened well: ", audit.findings.front()));
}

Job MakeJob(const Options& options, const Book& book, const Accesses& accesses,
            InputPlan* plan) {
  Job job;
  job.book = &book;
  job.accesses = &accesses;
  job.source = std::move(plan->source);
  job.total = plan->total;
  job.time = Duration::Seconds(static_cast<int64_t>(options.seconds));
  job.clients = options.clients;
  job.leader_kills = options.kills;
  for (const BankResource& bank : options.banks) {
    if (bank.has_server()) job.databases.push_back(bank.name);
  }
  job.seed = options.seed;
  job.mode = options.mode;
  return job;
}

void Describe(const Options& options, const InputPlan& plan, const Book& book,
              const Deployment& deployment, example::Console* console) {
  console->Say(deployment.Description());
  for (size_t r = 0; r < book.resources().size(); ++r) {
    const auto banks = book.BanksOn(r);
    console->Say(
        absl::StrCat("  ", book.resources()[r],
                     banks.empty() ? " has no accounts" : " has the accounts of ",
                     absl::StrJoin(banks, ", ")));
  }
  console->Say(absl::StrCat(plan.description, ", ",
                            example::Grouped(book.accounts().size()), " accounts with ",
                            example::Grouped(options.scale.Format(book.total())), ", ",
                            options.clients, " clients"));
}

// The whole run, once the folder exists. A failure before the first transfer or after the
// last one is returned as a status.
absl::StatusOr<bool> Play(const Options& options, InputPlan* plan, const Book& book,
                          Belongings* belongings) {
  example::Console console;
  const Accesses accesses = MakeAccesses(options.banks);
  auto deployment = Deploy(options, belongings);
  if (!deployment.ok()) return deployment.status();
  Describe(options, *plan, book, **deployment, &console);
  const auto before = OpenAndCount(deployment->get(), book, accesses, options.scale);
  if (!before.ok()) return before.status();
  console.Say(absl::StrCat("accounts are open, money before: ",
                           example::Grouped(options.scale.Format(*before))));

  Statistics statistics;
  const size_t leaders = (*deployment)->leaders_seen();
  Job job = MakeJob(options, book, accesses, plan);
  auto outcome = RunTransfers(&job, deployment->get(), &statistics, &console);
  if (!outcome.ok()) belongings->GiveUp(outcome.status());
  console.Say(absl::StrCat("all ", example::Grouped(outcome->ledger.size()),
                           " transfers have an answer"));
  const auto verdict =
      Verify(deployment->get(), book, accesses, options.scale, &outcome->ledger);
  if (!verdict.ok()) return verdict.status();
  console.Say(absl::StrCat("nothing is open any more, ",
                           example::ForPeople(verdict->settled_after),
                           " later; compared"));
  const ReportInput input{&*outcome,     &statistics,
                          &*verdict,     *before,
                          options.scale, (*deployment)->leaders_seen() - leaders};
  std::printf("\n%s", Report(input).c_str());
  bool good = verdict->agrees();
  for (const std::string& bad : (*deployment)->Stop()) {
    std::printf("FAILED: %s\n", bad.c_str());
    good = false;
  }
  return good;
}

int Main(int argc, char** argv) {
  const Parsed parsed = ParseCommandLine(argc, argv);
  if (parsed.exit) return parsed.exit_code;
  const Options& options = parsed.options;
  auto plan = MakeInputPlan(options);
  if (!plan.ok()) return Fail(plan.status());
  NameBadRows(plan->bad_rows);
  const auto book = Book::Make(plan->opening, NamesOf(options.banks));
  if (!book.ok()) return Fail(book.status());

  // Must never be destroyed, because the clean-up may run at any time.
  static Belongings belongings;
  auto folder = example::TempFolder::Create("transfer");
  if (!folder.ok()) return Fail(folder.status());
  belongings.folder = *std::move(folder);
  example::OnInterrupt([keep = options.keep] {
    belongings.supervisor.KillAllForGood();
    if (keep) belongings.folder->Keep();
    belongings.folder->Remove();
    std::fprintf(stderr, "\ntransfer: interrupted; nothing is left running\n");
  });

  const auto good = Play(options, &*plan, *book, &belongings);
  example::StandStillIfInterrupted();
  belongings.supervisor.KillAllForGood();
  if (!good.ok()) Fail(good.status());
  const bool failed = !good.ok() || !*good;
  if (failed || options.keep) {
    belongings.folder->Keep();
    std::printf("data and logs are kept in %s\n", belongings.folder->path().c_str());
  }
  belongings.folder->Remove();
  if (!good.ok())
    return ExitStatusOf(good.status()) == example::kExitNoInput
               ? example::kExitUnavailable
               : ExitStatusOf(good.status());
  return *good ? example::kExitAgrees : example::kExitDisagrees;
}

}  // namespace
}  // namespace concordat::transfer

int main(int argc, char** argv) { return concordat::transfer::Main(argc, argv); }
