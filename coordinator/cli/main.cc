// concordat: shows the state of a running cluster, and logs.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/version.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/members.h"
#include "thrift/rpc/address.h"

namespace {

using namespace concordat;

constexpr char kCoordinatorsVariable[] = "CONCORDAT_COORDINATORS";

struct Arguments {
  cli::Target target;
  int limit = 100;
  std::string gtid;
  std::string branch;
  std::string resource;
  std::string by;
  std::string log_dir;
  bool segments_only = false;
  cli::MemberOrder order;
};

struct Commands {
  CLI::App* status;
  CLI::App* list;
  CLI::App* show;
  CLI::App* heuristics;
  CLI::App* forget;
  CLI::App* retire;
  CLI::App* dump;
  CLI::App* members;
  std::vector<CLI::App*> member_changes;
};

// The environment's value is used only after parsing. CLI11 would let it replace the
// value of the chosen command's option, because all commands fill the same variable.
void AddTarget(CLI::App* command, Arguments* arguments) {
  command
      ->add_option("--coordinators,-c", arguments->target.coordinators,
                   absl::StrCat("Client addresses of the nodes, separated by commas; "
                                "without it those of the environment's ",
                                kCoordinatorsVariable))
      ->delimiter(',');
  command
      ->add_option("--timeout-ms", arguments->target.timeout_ms,
                   "Wait this long for a node")
      ->check(CLI::Range(10, 600'000))
      ->capture_default_str();
}

void AddLocal(CLI::App* command, Arguments* arguments) {
  command->add_flag("--local", arguments->target.local,
                    "Ask the first node that answers instead of the leader: what it "
                    "knows may be old, and there need be no leader");
}

void AddTransactionCommands(CLI::App* app, Arguments* arguments, Commands* commands) {
  CLI::App* txn = app->add_subcommand("txn", "Transactions");
  txn->require_subcommand(0, 1);
  commands->list = txn->add_subcommand("list", "Those that are not over");
  AddTarget(commands->list, arguments);
  AddLocal(commands->list, arguments);
  commands->list->add_option("--limit", arguments->limit, "At most this many")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  commands->show = txn->add_subcommand("show", "One transaction and its branches");
  commands->show->add_option("gtid", arguments->gtid, "As in logs and answers: 1.7.2a")
      ->required();
  AddTarget(commands->show, arguments);
  AddLocal(commands->show, arguments);
}

void AddHeuristicCommands(CLI::App* app, Arguments* arguments, Commands* commands) {
  CLI::App* heuristic = app->add_subcommand(
      "heuristic", "Branches that ended against, or without, the decision");
  heuristic->require_subcommand(0, 1);
  commands->heuristics =
      heuristic->add_subcommand("list", "All; exit status 1 when there are any");
  AddTarget(commands->heuristics, arguments);
  AddLocal(commands->heuristics, arguments);
  commands->forget = heuristic->add_subcommand(
      "forget", "Say that one has been dealt with: it is not listed any more");
  commands->forget
      ->add_option("branch", arguments->branch, "As \"heuristic list\" prints it")
      ->required();
  commands->forget->add_option("--by", arguments->by, "Who says so; it is recorded")
      ->required();
  AddTarget(commands->forget, arguments);
}

void AddResourceCommands(CLI::App* app, Arguments* arguments, Commands* commands) {
  CLI::App* resource = app->add_subcommand("resource", "Resources by their names");
  resource->require_subcommand(0, 1);
  commands->retire = resource->add_subcommand(
      "retire", "Give a name up that nobody serves any more: another store may have it");
  commands->retire
      ->add_option("name", arguments->resource, "As \"concordat status\" has it")
      ->required();
  commands->retire->add_option("--by", arguments->by, "Who says so; it is recorded")
      ->required();
  AddTarget(commands->retire, arguments);
}

// What each change of the members needs besides the node.
enum class Needs { kNothing, kAddresses, kPerhapsAddresses };

void AddMemberChange(CLI::App* members, const char* name, const char* help, Needs needs,
                     Arguments* arguments, Commands* commands) {
  CLI::App* command = members->add_subcommand(name, help);
  commands->member_changes.push_back(command);
  cli::MemberOrder& order = arguments->order;
  CLI::Option* node = command->add_option("node", order.node, "The node's id");
  if (command->get_name() != "transfer") node->required();
  if (needs != Needs::kNothing) {
    const bool required = needs == Needs::kAddresses;
    command->add_option("--peer-address", order.peer_address, "For the other nodes")
        ->required(required);
    command->add_option("--client-address", order.client_address, "For clients")
        ->required(required);
  }
  command->add_flag("--dry-run", order.dry_run,
                    "Only say what would happen to the majority, or why it is refused");
  command->add_flag("--force", order.force,
                    "Also when afterwards no majority is sure to answer");
  command->add_option("--by", order.by, "Who does it; it is recorded")
      ->default_str("the user's name");
  command->add_option("--reason", order.reason, "Why; it is recorded");
  AddTarget(command, arguments);
}

void AddMemberCommands(CLI::App* app, Arguments* arguments, Commands* commands) {
  CLI::App* members = app->add_subcommand("members", "The nodes of the cluster");
  members->require_subcommand(0, 1);
  commands->members = members->add_subcommand(
      "list", "All, and which of them do not know the same; exit status 1 if any");
  AddTarget(commands->members, arguments);
  AddLocal(commands->members, arguments);
  const auto add = [&](const char* name, const char* help,
                       Needs needs = Needs::kNothing) {
    AddMemberChange(members, name, help, needs, arguments, commands);
  };
  add("add", "Take a node in that was started with --join, as a learner",
      Needs::kAddresses);
  add("promote", "Let a learner vote that has caught up");
  add("demote", "Make a voter a learner: it is sent the log, and counts for no majority");
  add("remove", "Take a node out for ever: its id is never used again");
  add("replace", "Take a member in again that has lost its folder, as a learner");
  add("address", "A member is reached elsewhere", Needs::kPerhapsAddresses);
  add("transfer", "Hand leadership over, to that node or to the one that has most");
}

Commands AddCommands(CLI::App* app, Arguments* arguments) {
  Commands commands{};
  app->require_subcommand(0, 1);
  app->set_version_flag("--version", absl::StrCat("concordat ", Version()));
  commands.status = app->add_subcommand("status", "Nodes, their log, and resources");
  AddTarget(commands.status, arguments);
  AddTransactionCommands(app, arguments, &commands);
  AddHeuristicCommands(app, arguments, &commands);
  AddResourceCommands(app, arguments, &commands);
  AddMemberCommands(app, arguments, &commands);
  CLI::App* wal = app->add_subcommand("wal", "Write-ahead logs");
  wal->require_subcommand(0, 1);
  commands.dump = wal->add_subcommand("dump", "Print a log; the process may be down");
  commands.dump->add_option("dir", arguments->log_dir, "A node's DATA-DIR/log")
      ->required();
  commands.dump->add_flag("--segments", arguments->segments_only,
                          "Only segments and damage");
  return commands;
}

// The commands named so far, and the app of the last one.
struct Place {
  std::string words = "concordat";
  CLI::App* app = nullptr;
  std::string next;  // the word after the commands; empty: there is none
};

CLI::App* FindCommand(CLI::App* app, const std::string& name) {
  for (CLI::App* one : app->get_subcommands({})) {
    if (one->get_name() == name) return one;
  }
  return nullptr;
}

Place Locate(CLI::App* app, int argc, char** argv) {
  Place place;
  place.app = app;
  for (int i = 1; i < argc; ++i) {
    CLI::App* inner = FindCommand(place.app, argv[i]);
    if (inner == nullptr) {
      place.next = argv[i];
      break;
    }
    place.app = inner;
    absl::StrAppend(&place.words, " ", argv[i]);
  }
  return place;
}

int Usage(const Place& place, std::string_view message) {
  std::cerr << "concordat: " << message << "\nTry " << place.words << " --help.\n";
  return cli::kExitUsage;
}

std::string CommandsOf(const CLI::App& app) {
  std::string names;
  for (const CLI::App* one : app.get_subcommands({})) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", one->get_name());
  }
  return names;
}

// The exit status for a word that is not a command where one is expected; 0: there is no
// such word.
int CheckCommand(const Place& place) {
  if (place.app->get_subcommands({}).empty()) return 0;
  const bool flag = !place.next.empty() && place.next[0] == '-';
  if (flag) return 0;
  const std::string known = absl::StrCat("there are ", CommandsOf(*place.app));
  if (place.next == "help") {
    std::cout << place.app->help();
    return -1;
  }
  return Usage(place, place.next.empty() ? absl::StrCat("a command is missing; ", known)
                                         : absl::StrCat("no such command: ", place.words,
                                                        " ", place.next, "; ", known));
}

int CheckTarget(const Place& place, cli::Target* target) {
  const char* variable = std::getenv(kCoordinatorsVariable);
  if (target->coordinators.empty() && variable != nullptr && *variable != '\0') {
    target->coordinators = absl::StrSplit(std::string(variable), ',');
  }
  if (target->coordinators.empty()) {
    return Usage(place,
                 absl::StrCat("which nodes? --coordinators HOST:PORT,…, or ",
                              kCoordinatorsVariable, " in the environment, names them"));
  }
  for (const std::string& address : target->coordinators) {
    const auto parsed = rpc::Address::Parse(address);
    if (!parsed.ok()) return Usage(place, std::string(parsed.status().message()));
  }
  return 0;
}

int Run(const Commands& commands, const Arguments& arguments) {
  if (*commands.status) return cli::Status(arguments.target);
  if (*commands.list) return cli::ListTransactions(arguments.target, arguments.limit);
  if (*commands.show) return cli::ShowTransaction(arguments.target, arguments.gtid);
  if (*commands.heuristics) return cli::ListHeuristics(arguments.target);
  if (*commands.forget) {
    return cli::ForgetHeuristic(arguments.target, arguments.branch, arguments.by);
  }
  if (*commands.retire) {
    return cli::RetireResource(arguments.target, arguments.resource, arguments.by);
  }
  if (*commands.members) return cli::ListMembers(arguments.target);
  for (const CLI::App* change : commands.member_changes) {
    if (!*change) continue;
    cli::MemberOrder order = arguments.order;
    order.action = change->get_name();
    return cli::ChangeMember(arguments.target, order);
  }
  return cli::DumpLog(arguments.log_dir, arguments.segments_only);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("concordat: looks into a cluster of transaction coordinators.");
  const Commands commands = AddCommands(&app, &arguments);
  const Place place = Locate(&app, argc, argv);
  if (const int wrong = CheckCommand(place); wrong != 0) return wrong < 0 ? 0 : wrong;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return Usage(place, error.what());
  }
  if (!place.app->get_subcommands({}).empty()) {
    return Usage(place, "a command is missing");
  }
  const bool asks_cluster = !*commands.dump;
  if (asks_cluster) {
    if (const int wrong = CheckTarget(place, &arguments.target); wrong != 0) return wrong;
  }
  return Run(commands, arguments);
}
