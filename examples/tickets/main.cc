// tickets: a thousand buyers for a hundred seats, while processes are killed. See --help,
// and docs/tickets-example.md.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "examples/processes/console.h"
#include "examples/processes/interrupt.h"
#include "examples/processes/programs.h"
#include "examples/processes/supervisor.h"
#include "examples/processes/temp_folder.h"
#include "examples/tickets/box_office.h"
#include "examples/tickets/compare.h"
#include "examples/tickets/report.h"
#include "examples/tickets/sale.h"

namespace concordat::tickets {
namespace {

using example::Console;

constexpr auto kTick = std::chrono::milliseconds(2);
constexpr Duration kSettleLimit = Duration::Seconds(60);
constexpr Duration kPatience = Duration::Seconds(60);

struct Options {
  Plan plan;
  size_t clients = 64;
  size_t kills = 1;
  uint64_t seed = 1;
  int64_t think_ms = 40;
  int64_t standstill_s = 30;
  bool keep = false;
};

// What must be ended and removed at every end of the program.
struct Belongings {
  std::unique_ptr<example::TempFolder> folder;
  example::Supervisor supervisor;

  // Ends the process at once, because buyers may be inside. After an interrupt, failures
  // are its consequence: the interrupt ends the process.
  [[noreturn]] void GiveUp(const absl::Status& status) {
    example::StandStillIfInterrupted();
    supervisor.KillAllForGood();
    std::fflush(stdout);
    std::fprintf(stderr, "tickets: %s\ntickets: data and logs are kept in %s\n",
                 std::string(status.message()).c_str(), folder->path().c_str());
    std::fflush(stderr);
    _exit(example::kExitUnavailable);
  }
};

int Parse(int argc, char** argv, Options* options) {
  CLI::App app(
      "Lets buyers buy seats (a service), pay (PostgreSQL) and earn points (MariaDB)\n"
      "while a coordinator, the service and both servers are killed, and checks that no\n"
      "seat is sold twice and nothing is paid without a seat. Ends with 0 only if so.");
  const auto number = [&app](const char* flag, auto* value, const char* what,
                             uint64_t least, uint64_t most) {
    app.add_option(flag, *value, what)
        ->check(CLI::Range(least, most))
        ->capture_default_str();
  };
  number("--buyers", &options->plan.buyers, "How many; each fourth is too poor", 1,
         5'000);
  number("--seats", &options->plan.seats, "How many there are", 1, kMaxSeats);
  number("--clients", &options->clients, "How many buy at the same time", 1, 256);
  number("--kills", &options->kills,
         "How often the leader is killed; with any, the seat service and both servers "
         "are killed once too",
         0, 20);
  number("--think-ms", &options->think_ms,
         "At most that long is a seat held before it is paid for", 0, 10'000);
  number("--standstill-s", &options->standstill_s,
         "The run is given up when that long nobody has had an answer", 1, 1'000);
  app.add_option("--seed", options->seed, "Of what is drawn")->capture_default_str();
  app.add_flag("--keep", options->keep, "Keep the folder with data and logs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : example::kExitUsage;
  }
  return -1;
}

// Admits the buyers in step with the kills. As long as there are kills to come, only
// those buyers are admitted who buy the seats of the parts so far.
class AdmissionLoop {
 public:
  AdmissionLoop(const Options& options, BoxOffice* office, Console* console)
      : options_(options),
        office_(office),
        console_(console),
        sale_(office->client(), options.plan,
              {Duration::Millis(options.think_ms), kPatience, nullptr}, options.clients,
              options.seed),
        nemesis_(MakePlan(options), office, nullptr, options.seed,
                 [console](const std::string& line) { console->Say(line); }) {}

  // Does not return after an error: buyers inside would wait for processes that are gone.
  void Run(Belongings* belongings, Ending* ending) {
    const Timestamp start = clock_.Now();
    while (!nemesis_.done() || sale_.answered() < options_.plan.buyers) {
      absl::Status status = office_->Check();
      if (status.ok()) status = nemesis_.Tick(clock_.Now(), Progress(), sale_.inside());
      if (status.ok()) status = CheckProgress();
      if (!status.ok()) belongings->GiveUp(status);
      sale_.Admit(nemesis_.done() ? options_.plan.buyers : Allowed());
      if (console_->LiveIsDue()) {
        console_->Live(absl::StrCat(sale_.answered(), " of ", options_.plan.buyers,
                                    " buyers have an answer"));
      }
      std::this_thread::sleep_for(kTick);
    }
    ending->elapsed = clock_.Now() - start;
    ending->answers = sale_.Finish();
    ending->faults = nemesis_.faults();
  }

 private:
  static example::Nemesis::Plan MakePlan(const Options& options) {
    example::Nemesis::Plan plan;
    plan.leader_kills = options.kills;
    plan.resources = {kSeats};
    plan.databases = {kPayments, kLoyalty};
    return plan;
  }

  // A permanent fault of a resource fails every attempt, and each buyer tries for a
  // minute.
  absl::Status CheckProgress() {
    const size_t answered = sale_.answered();
    const Timestamp now = clock_.Now();
    if (answered != last_answered_ || sale_.inside() == 0) {
      last_answered_ = answered;
      last_progress_ = now;
    }
    if (now - last_progress_ < Duration::Seconds(options_.standstill_s)) {
      return absl::OkStatus();
    }
    return absl::DeadlineExceededError(
        absl::StrCat("nobody has had an answer for ", options_.standstill_s,
                     " seconds; the last try ended so: ", sale_.last_trouble()));
  }

  // The part of the buyers, including poor ones, after which all seats are sold. Later
  // buyers find no seat, so kills would not affect them.
  [[nodiscard]] double Rush() const {
    const size_t buyers = options_.plan.seats * kPoorEvery / (kPoorEvery - 1);
    return static_cast<double>(std::min(buyers, options_.plan.buyers));
  }
  [[nodiscard]] double Progress() {
    return std::min(static_cast<double>(sale_.answered()) / Rush(), 1.0);
  }
  [[nodiscard]] size_t Allowed() const {
    return static_cast<size_t>(Rush() * nemesis_.allowed());
  }

  const SystemClock clock_;
  const Options& options_;
  BoxOffice* const office_;
  Console* const console_;
  Sale sale_;
  size_t last_answered_ = 0;
  Timestamp last_progress_ = clock_.Now();
  example::Nemesis nemesis_;
};

absl::Status WaitUntilSettled(BoxOffice* office, example::OpenWork* left) {
  const SystemClock clock;
  const Timestamp give_up = clock.Now() + kSettleLimit;
  for (;;) {
    if (absl::Status s = office->Check(); !s.ok()) return s;
    const auto open = office->CountOpen();
    const bool late = clock.Now() >= give_up;
    if (open.ok()) *left = *open;
    if (open.ok() && (open->none() || late)) return absl::OkStatus();
    if (late) return open.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::StatusOr<bool> Play(const Options& options, Belongings* belongings) {
  const Plan& plan = options.plan;
  Console console;
  const auto programs = FindPrograms();
  if (!programs.ok()) return programs.status();
  BoxOffice office(*programs, belongings->folder->path(), &belongings->supervisor);
  if (absl::Status s = office.Start(plan); !s.ok()) return s;
  console.Say(absl::StrCat("3 coordinators, the seat service, PostgreSQL and MariaDB; ",
                           plan.buyers, " buyers, ", options.clients, " at a time, for ",
                           plan.seats, " seats"));
  Ending ending;
  AdmissionLoop(options, &office, &console).Run(belongings, &ending);
  console.Say("all buyers have an answer");
  if (absl::Status s = WaitUntilSettled(&office, &ending.open); !s.ok()) return s;
  auto books = ReadBooks(office.client());
  if (!books.ok()) return books.status();
  ending.books = *std::move(books);
  ending.findings = Compare(plan, ending.answers, ending.books);
  std::printf("\n%s", Report(plan, ending).c_str());
  bool good = ending.agrees();
  for (const std::string& bad : office.Stop()) {
    std::printf("FAILED: %s\n", bad.c_str());
    good = false;
  }
  return good;
}

int Main(int argc, char** argv) {
  Options options;
  if (const int status = Parse(argc, argv, &options); status >= 0) return status;
  // Must never be destroyed, because the clean-up may run at any time.
  static Belongings belongings;
  auto folder = example::TempFolder::Create("tickets");
  if (!folder.ok()) {
    std::fprintf(stderr, "tickets: %s\n", std::string(folder.status().message()).c_str());
    return example::kExitUnavailable;
  }
  belongings.folder = *std::move(folder);
  example::OnInterrupt([keep = options.keep] {
    belongings.supervisor.KillAllForGood();
    if (keep) belongings.folder->Keep();
    belongings.folder->Remove();
    std::fprintf(stderr, "\ntickets: interrupted; nothing is left running\n");
  });
  const auto good = Play(options, &belongings);
  if (!good.ok()) belongings.GiveUp(good.status());
  if (!*good || options.keep) {
    belongings.folder->Keep();
    std::printf("data and logs are kept in %s\n", belongings.folder->path().c_str());
  }
  belongings.folder->Remove();
  return *good ? example::kExitAgrees : example::kExitDisagrees;
}

}  // namespace
}  // namespace concordat::tickets

int main(int argc, char** argv) { return concordat::tickets::Main(argc, argv); }
