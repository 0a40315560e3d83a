#include "participant/daemon/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "coordinator/base/option_errors.h"
#include "coordinator/base/version.h"

namespace concordat::participant {
namespace {

constexpr int kExitUsage = 64;  // EX_USAGE of sysexits.h

void AddFlags(CLI::App* app, DaemonOptions* options) {
  app->set_config("--config", "",
                  "Read flags from this file (TOML; resource = [\"a=kv:///x\", …])");
  app->allow_config_extras(CLI::config_extras_mode::error);
  app->add_option("--listen", options->listen,
                  "Where coordinators and clients reach this process: host:port or "
                  "unix:/path; port 0 lets the system choose")
      ->required();
  app->add_option("--advertise", options->advertise,
                  "The address to register, when it differs from --listen");
  app->add_option("--coordinators", options->coordinators,
                  "Client addresses of coordinator nodes, separated by commas")
      ->delimiter(',')
      ->required();
  app->add_option("--resource", options->resources,
                  "NAME=URL, any number of times. URLs: kv:///folder, "
                  "sqlite:///file[?schema=FILE][&isolation=serializable], "
                  "postgresql://user@host/database[?isolation=…][&max_connections=N], "
                  "mysql://user@host/database[?isolation=…][&max_connections=N], "
                  "xa:///library?switch=SYMBOL&work=SYMBOL&dir=FOLDER")
      ->required();
  app->add_option(
      "--replace-store", options->replace_stores,
      "Name of a resource whose store is lost: let the one named now, another "
      "one or an older copy, take its place. What was prepared in the lost "
      "one is settled without it. For one start, never in a config file");
  app->add_option("--log-file", options->log_file, "Log here instead of standard error");
  app->add_option("--log-level", options->log_level, "trace, debug, info, warning, error")
      ->capture_default_str();
  app->add_option("--idle-timeout-ms", options->idle_timeout_ms,
                  "Roll back an active branch after this long without a call; a client "
                  "may ask for another time")
      ->check(CLI::Range(100, 3'600'000))
      ->capture_default_str();
  app->add_option("--in-doubt-inquiry-ms", options->in_doubt_inquiry_ms,
                  "Ask the coordinators about a branch that has been in doubt for this "
                  "long; choose it longer than an election")
      ->check(CLI::Range(100, 3'600'000))
      ->capture_default_str();
  app->add_option("--generation-interval-ms", options->generation_interval_ms,
                  "While there is work, give the stores a new generation this often: a "
                  "store restored "
                  "from a backup is noticed when it got one after the backup")
      ->check(CLI::Range(50, 60'000))
      ->capture_default_str();
}

}  // namespace

ParsedOptions ParseCommandLine(int argc, char** argv) {
  ParsedOptions parsed;
  CLI::App app(
      "concordat-rm: serves resource managers to a cluster of concordatd.\n"
      "Example: concordat-rm --listen 127.0.0.1:7080 --coordinators 127.0.0.1:7001 \\\n"
      "  --resource bank-a=kv:///var/lib/bank-a\n"
      "A database is made ready first: concordat-rm init URL (--help tells more).");
  app.set_version_flag("--version", absl::StrCat("concordat-rm ", Version()));
  AddFlags(&app, &parsed.options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    if (error.get_exit_code() == 0) {
      parsed.exit_code = app.exit(error);
    } else {
      std::cerr << "concordat-rm: " << ExplainOptionError(error.what())
                << "\nTry concordat-rm --help.\n";
      parsed.exit_code = kExitUsage;
    }
  }
  return parsed;
}

}  // namespace concordat::participant
