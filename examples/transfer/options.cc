#include "examples/transfer/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

constexpr uint64_t kDefaultTransactions = 20'000;
constexpr uint64_t kMaxTransactions = 10'000'000;
constexpr uint64_t kMaxSeconds = 24 * 3600;
constexpr uint64_t kMaxKills = 1000;
constexpr uint64_t kMaxClients = 4096;

// Options that are converted before they are stored in Options.
struct Texts {
  int decimals = 2;
  std::string opening = "5000.00";
  std::string mode = "decided";
  std::string banks = "kv,sqlite,sqlite";
};

void AddInputFlags(CLI::App* app, Options* options, Texts* texts) {
  auto* csv = app->add_option("--csv", options->csv,
                              "Transfers to make: a file with rows from,to,amount, "
                              "accounts as bank:account (default: a made-up sample)");
  app->add_flag("--strict", options->strict,
                "A bad row ends the run before anything moves; otherwise it is named "
                "and skipped");
  app->add_option("--opening", texts->opening,
                  "What is on each account of a file at first")
      ->capture_default_str();
  app->add_option("--decimals", texts->decimals, "Decimals of amounts: 2, 3 or 4")
      ->check(CLI::Range(Scale::kMinDecimals, Scale::kMaxDecimals))
      ->capture_default_str();
  auto* small_bank = app->add_flag("--smallbank", options->small_bank,
                                   "SmallBank's six transactions instead of a file")
                         ->excludes(csv);
  auto* transactions = app->add_option("--transactions", options->transactions,
                                       "How many SmallBank transactions (default: 20000)")
                           ->check(CLI::Range(uint64_t{1}, kMaxTransactions))
                           ->needs(small_bank);
  app->add_option("--seconds", options->seconds,
                  "Or for how long; goes on until the last kill is over")
      ->check(CLI::Range(uint64_t{1}, kMaxSeconds))
      ->needs(small_bank)
      ->excludes(transactions);
  app->add_option("--customers", options->customers, "Of SmallBank")
      ->check(CLI::Range(uint64_t{2}, uint64_t{1'000'000}))
      ->needs(small_bank)
      ->capture_default_str();
}

void AddRunFlags(CLI::App* app, Options* options, Texts* texts) {
  app->add_option("--clients", options->clients,
                  "Clients, each with a transfer at a time")
      ->check(CLI::Range(uint64_t{1}, kMaxClients))
      ->capture_default_str();
  app->add_option("--kills", options->kills,
                  "How often the leader is killed; with any, a participant and each "
                  "database server are killed once too")
      ->check(CLI::Range(uint64_t{0}, kMaxKills))
      ->capture_default_str();
  app->add_option("--banks", texts->banks,
                  "What the banks are kept in: a list of kv, sqlite, postgresql and "
                  "mariadb, some of them more than once if wanted; the last two with "
                  "private servers that are started and killed as well")
      ->capture_default_str();
  app->add_option("--mode", texts->mode, "When COMMITTED is told: decided or parallel")
      ->check(CLI::IsMember({"decided", "parallel"}))
      ->capture_default_str();
  app->add_flag("--embedded", options->embedded,
                "Everything in this one process, and nothing is killed");
  app->add_option("--seed", options->seed, "Of what is made up or drawn")
      ->capture_default_str();
  app->add_flag("--keep", options->keep, "Keep the folder with data and logs");
}

int Usage(const std::string& message) {
  std::cerr << "transfer: " << message << "\nTry --help.\n";
  return example::kExitUsage;
}

absl::Status Finish(const Texts& texts, const CLI::App& app, Options* options) {
  options->scale = Scale(texts.decimals);
  const auto opening = options->scale.Parse(texts.opening);
  if (!opening.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--opening ", texts.opening, ": ", opening.status().message()));
  }
  options->opening = *opening;
  auto banks = ParseBanks(texts.banks);
  if (!banks.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--banks ", texts.banks, ": ", banks.status().message()));
  }
  options->banks = *std::move(banks);
  for (const BankResource& bank : options->banks) {
    if (options->embedded && bank.has_server()) {
      return absl::InvalidArgumentError(absl::StrCat("--embedded starts no servers, and ",
                                                     bank.name, " would need one"));
    }
  }
  if (texts.mode == "parallel") options->mode = CommitMode::kParallel;
  if (options->embedded && app.count("--kills") > 0 && options->kills > 0) {
    return absl::InvalidArgumentError("--embedded has no processes to kill");
  }
  if (options->embedded) options->kills = 0;
  if (options->seconds == 0 && options->transactions == 0) {
    options->transactions = kDefaultTransactions;
  }
  return absl::OkStatus();
}

}  // namespace

Parsed ParseCommandLine(int argc, char** argv) {
  Parsed parsed;
  CLI::App app(
      "Moves money between banks while coordinators, a participant and database servers\n"
      "are killed, and checks that every cent and every answer is right. Ends with 0 "
      "only\n"
      "if so.");
  Texts texts;
  AddInputFlags(&app, &parsed.options, &texts);
  AddRunFlags(&app, &parsed.options, &texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    parsed.exit_code = error.get_exit_code() == 0 ? app.exit(error) : Usage(error.what());
    return parsed;
  }
  if (absl::Status s = Finish(texts, app, &parsed.options); !s.ok()) {
    parsed.exit = true;
    parsed.exit_code = Usage(std::string(s.message()));
  }
  return parsed;
}

}  // namespace concordat::transfer
