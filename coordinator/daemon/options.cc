#include "coordinator/daemon/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/option_errors.h"
#include "coordinator/base/version.h"
#include "coordinator/storage/identity.h"
#include "thrift/rpc/address.h"

namespace concordat::daemon {

namespace {

constexpr size_t kMaxMembers = 7;
constexpr int kExitUsage = 64;  // EX_USAGE of sysexits.h

absl::Status CheckAddress(std::string_view part, const std::string& address) {
  const auto parsed = rpc::Address::Parse(address);
  if (parsed.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "member '", std::string(part), "': ", std::string(parsed.status().message())));
}

absl::Status AddMember(const std::string& part, std::map<NodeId, Member>* members) {
  const std::vector<std::string> id_and_rest =
      absl::StrSplit(part, absl::MaxSplits('=', 1));
  uint64_t id = 0;
  if (id_and_rest.size() != 2 || !absl::SimpleAtoi(id_and_rest[0], &id) || id == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("member '", part, "' is not ID=PEER-ADDRESS/CLIENT-ADDRESS"));
  }
  // The path of a Unix socket has slashes too. So the client's address begins after the
  // slash of the last "/unix:" or, if there is none, after the last slash.
  const std::string& rest = id_and_rest[1];
  size_t slash = rest.rfind("/unix:");
  if (slash == std::string::npos || slash == 0) slash = rest.rfind('/');
  if (slash == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("member '", part, "' has no address for clients after a slash"));
  }
  Member member{rest.substr(0, slash), rest.substr(slash + 1)};
  if (absl::Status s = CheckAddress(part, member.peer_address); !s.ok()) return s;
  if (absl::Status s = CheckAddress(part, member.client_address); !s.ok()) return s;
  if (!members->emplace(NodeId(id), std::move(member)).second) {
    return absl::InvalidArgumentError(absl::StrCat("node ", id, " is named twice"));
  }
  return absl::OkStatus();
}

// If two addresses were equal, a node would talk to itself, or to another node under a
// wrong id.
absl::Status CheckAddressesDiffer(const std::map<NodeId, Member>& members) {
  std::map<std::string, std::string> users;
  for (const auto& [node, member] : members) {
    const std::pair<const char*, const std::string&> addresses[] = {
        {"peers", member.peer_address}, {"clients", member.client_address}};
    for (const auto& [whom, address] : addresses) {
      const std::string user = absl::StrCat("node ", node.value(), " for its ", whom);
      const auto parsed = rpc::Address::Parse(address);
      const auto [first, is_new] =
          users.try_emplace(parsed.ok() ? parsed->ToString() : address, user);
      if (is_new) continue;
      return absl::InvalidArgumentError(absl::StrCat("the address ", address,
                                                     " is given twice: to ",
                                                     first->second, ", and to ", user));
    }
  }
  return absl::OkStatus();
}

int Usage(const std::string& message) {
  std::cerr << "concordatd: " << message << "\nTry concordatd --help.\n";
  return kExitUsage;
}

// How the node comes to a cluster, as the flags say it.
struct Beginning {
  std::string id;
  std::string members;
  bool bootstrap = false;
  bool join = false;
};

void AddBeginning(CLI::App* app, Options* options, Beginning* begin) {
  app->add_option("--id", begin->id, "This node's number, unique in the cluster")
      ->required();
  app->add_option("--members", begin->members,
                  "All nodes of a new cluster, the same list at each of them: "
                  "ID=PEER-ADDRESS/CLIENT-ADDRESS, separated by commas; addresses are "
                  "host:port or unix:/path");
  app->add_flag("--bootstrap", begin->bootstrap,
                "Begin a new cluster of this node alone; others join it");
  app->add_flag("--join", begin->join,
                "Wait until \"concordat members add\" takes this node into a cluster");
  app->add_option("--peer-address", options->own.peer_address,
                  "With --bootstrap or --join: where the other nodes reach this one");
  app->add_option("--client-address", options->own.client_address,
                  "With --bootstrap or --join: where clients reach this node");
}

// Says of this node what the flags say, as Options::own and Options::members.
absl::Status ResolveBeginning(const Beginning& begin, Options* options) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(begin.id, &number) || number == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--id ", begin.id, " is no node's number: 1 or more"));
  }
  options->self = NodeId(number);
  if (begin.bootstrap + begin.join + !begin.members.empty() != 1) {
    return absl::InvalidArgumentError(
        "one of --members, --bootstrap and --join says how this node comes to its "
        "cluster");
  }
  Member& own = options->own;
  if (!begin.members.empty()) {
    if (!own.peer_address.empty() || !own.client_address.empty()) {
      return absl::InvalidArgumentError(
          "--peer-address and --client-address are for --bootstrap and --join: "
          "--members has this node's addresses");
    }
    auto members = ParseMembers(begin.members);
    if (!members.ok()) return members.status();
    options->members = *std::move(members);
    const auto self = options->members.find(options->self);
    if (self == options->members.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--id ", number, " is not among the --members"));
    }
    own = self->second;
    return absl::OkStatus();
  }
  if (own.peer_address.empty() || own.client_address.empty()) {
    return absl::InvalidArgumentError(
        "--bootstrap and --join need --peer-address and --client-address");
  }
  for (const std::string& address : {own.peer_address, own.client_address}) {
    if (const auto parsed = rpc::Address::Parse(address); !parsed.ok()) {
      return parsed.status();
    }
  }
  const std::map<NodeId, Member> alone{{options->self, own}};
  if (absl::Status s = CheckAddressesDiffer(alone); !s.ok()) return s;
  if (begin.bootstrap) options->members = alone;
  return absl::OkStatus();
}

void AddFlags(CLI::App* app, Options* options, Beginning* begin) {
  app->set_config("--config", "", "Read flags from this file (name=value lines)");
  app->allow_config_extras(CLI::config_extras_mode::error);
  AddBeginning(app, options, begin);
  app->add_option(
         "--data-dir", options->data_dir,
         "Folder for the log and the snapshots; belongs to this node permanently")
      ->required();
  app->add_option("--cluster", options->cluster_name,
                  "Name of the cluster, for operators, the same on all nodes; what tells "
                  "clusters apart is an id that their first leader draws")
      ->capture_default_str();
  app->add_option("--log-file", options->log_file, "Log here instead of standard error");
  app->add_option("--log-level", options->log_level, "trace, debug, info, warning, error")
      ->capture_default_str();
  app->add_option(
         "--election-timeout-ms", options->election_timeout_ms,
         "After a random time between one and two times this without a leader, a node "
         "starts an election")
      ->check(CLI::Range(40, 60'000))
      ->capture_default_str();
  app->add_option("--heartbeat-ms", options->heartbeat_ms,
                  "A leader sends heartbeats this often; at most a quarter of the "
                  "election time-out")
      ->check(CLI::Range(10, 15'000))
      ->capture_default_str();
  app->add_option("--segment-bytes", options->segment_bytes, "Size of a log file")
      ->check(CLI::Range(uint64_t{1} << 20, uint64_t{1} << 30))
      ->capture_default_str();
  app->add_option("--snapshot-entries", options->snapshot_entries,
                  "Take a snapshot after this many log entries")
      ->check(CLI::Range(uint64_t{100}, uint64_t{100'000'000}))
      ->capture_default_str();
}

absl::Status Check(const Options& options) {
  if (!storage::IsValidClusterName(options.cluster_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cluster '", options.cluster_name,
                     "' is no name: 1 to 64 printable ASCII characters are wanted, "
                     "without a space at either end"));
  }
  if (options.heartbeat_ms * 4 > options.election_timeout_ms) {
    return absl::InvalidArgumentError(
        "--heartbeat-ms must be at most a quarter of --election-timeout-ms");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<NodeId, Member>> ParseMembers(std::string_view text) {
  std::map<NodeId, Member> members;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(std::string(text), ','))) {
    if (absl::Status s = AddMember(part, &members); !s.ok()) return s;
  }
  if (members.size() > kMaxMembers || members.size() % 2 == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a cluster has 1, 3, 5 or 7 members, not ", members.size()));
  }
  if (absl::Status s = CheckAddressesDiffer(members); !s.ok()) return s;
  return members;
}

Parsed ParseCommandLine(int argc, char** argv) {
  Parsed parsed;
  CLI::App app(
      "concordatd: a node of a replicated transaction coordinator.\n"
      "Example of one node: concordatd --id 1 --data-dir /var/lib/concordat \\\n"
      "  --members 1=127.0.0.1:7101/127.0.0.1:7001");
  Beginning begin;
  app.set_version_flag("--version", absl::StrCat("concordatd ", Version()));
  AddFlags(&app, &parsed.options, &begin);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    parsed.exit_code = error.get_exit_code() == 0
                           ? app.exit(error)
                           : Usage(ExplainOptionError(error.what()));
    return parsed;
  }
  absl::Status status = ResolveBeginning(begin, &parsed.options);
  if (status.ok()) status = Check(parsed.options);
  if (!status.ok()) {
    parsed.exit = true;
    parsed.exit_code = Usage(std::string(status.message()));
  }
  return parsed;
}

}  // namespace concordat::daemon
