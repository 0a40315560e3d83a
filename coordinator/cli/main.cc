// concordat: looks into a running cluster, and into logs.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "coordinator/cli/commands.h"

namespace {

using namespace concordat;

struct Words {
  cli::Target target;
  int limit = 100;
  std::string gtid;
  std::string branch;
  std::string by;
  std::string log_dir;
  bool segments_only = false;
  std::string url;
  bool yes = false;
};

void AddTarget(CLI::App* command, Words* words) {
  command
      ->add_option("--coordinators,-c", words->target.coordinators,
                   "Client addresses of the nodes, separated by commas")
      ->delimiter(',')
      ->envname("CONCORDAT_COORDINATORS")
      ->required();
  command
      ->add_option("--timeout-ms", words->target.timeout_ms, "Wait this long for a node")
      ->check(CLI::Range(10, 600'000))
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  Words words;
  CLI::App app("concordat: looks into a cluster of transaction coordinators.");
  app.require_subcommand(1);
  CLI::App* status = app.add_subcommand("status", "Nodes, their log, and resources");
  AddTarget(status, &words);
  CLI::App* txn = app.add_subcommand("txn", "Transactions");
  txn->require_subcommand(1);
  CLI::App* list = txn->add_subcommand("list", "Those that are not over");
  AddTarget(list, &words);
  list->add_option("--limit", words.limit, "At most this many")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  CLI::App* show = txn->add_subcommand("show", "One transaction and its branches");
  show->add_option("gtid", words.gtid, "As in logs and answers: 1.7.2a")->required();
  AddTarget(show, &words);
  CLI::App* heuristic = app.add_subcommand(
      "heuristic", "Branches that ended against, or without, the decision");
  heuristic->require_subcommand(1);
  CLI::App* heuristics =
      heuristic->add_subcommand("list", "All; exit status 1 when there are any");
  AddTarget(heuristics, &words);
  CLI::App* forget = heuristic->add_subcommand(
      "forget", "Say that one has been dealt with: it is not listed any more");
  forget->add_option("branch", words.branch, "As \"heuristic list\" prints it")
      ->required();
  forget->add_option("--by", words.by, "Who says so; it is recorded")->required();
  AddTarget(forget, &words);
  CLI::App* wal = app.add_subcommand("wal", "Write-ahead logs");
  wal->require_subcommand(1);
  CLI::App* dump = wal->add_subcommand("dump", "Print a log; the process may be down");
  dump->add_option("dir", words.log_dir, "A node's DATA-DIR/log")->required();
  dump->add_flag("--segments", words.segments_only, "Only segments and damage");
  CLI::App* rm = app.add_subcommand("rm", "Databases as resource managers");
  rm->require_subcommand(1);
  CLI::App* init = rm->add_subcommand(
      "init", "Make a database ready to be served: shows the SQL, runs it with --yes");
  init->add_option("url", words.url, "As concordat-rm has it: postgresql://host/db")
      ->required();
  init->add_flag("--yes", words.yes, "Run it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "concordat: " << error.what() << "\nTry concordat --help.\n";
    return cli::kExitUsage;
  }
  if (*status) return cli::Status(words.target);
  if (*list) return cli::ListTransactions(words.target, words.limit);
  if (*show) return cli::ShowTransaction(words.target, words.gtid);
  if (*heuristics) return cli::ListHeuristics(words.target);
  if (*forget) return cli::ForgetHeuristic(words.target, words.branch, words.by);
  if (*init) return cli::InitResource(words.url, words.yes);
  return cli::DumpLog(words.log_dir, words.segments_only);
}
