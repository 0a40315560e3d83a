// An application with two PostgreSQL connections of its own, which the tests kill.
//   enlist_app COORDINATOR URL_A URL_B KEY PATIENCE_S STEP
// Writes KEY into both ledgers in one transaction, and prints a line after each step:
//   enlisted / worked / committing / prepared / outcome COMMITTED …
// STEP "worked" or "prepared": waits there to be killed. "all": runs to the end.
#include <libpq-fe.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/client/client.h"
#include "coordinator/client/postgresql/enlist.h"

namespace concordat::client {
namespace {

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int Fail(const std::string& why) {
  Say("failed: " + why);
  return 1;
}

[[noreturn]] void WaitToBeKilled() {
  while (true) pause();
}

// The last of the connections: when it is waited for, all others are prepared.
class Gate final : public ApplicationConnection {
 public:
  void SendPrepare() override {}
  Answer AwaitPrepared() override {
    Say("prepared");
    WaitToBeKilled();
  }
  void RollBack() override {}
};

int Run(char** words) {
  const std::string key = words[4];
  const std::string step = words[6];
  ClientOptions client_options;
  client_options.coordinators = {words[1]};
  auto client = Client::Connect(client_options);
  if (!client.ok()) return Fail(client.status().ToString());
  auto transaction = (*client)->Begin();
  if (!transaction.ok()) return Fail(transaction.status().ToString());
  EnlistOptions options;
  options.grace_period = Duration::Seconds(std::stoi(words[5]));
  const std::string sql = absl::StrCat("INSERT INTO ledger VALUES ('", key, "')");
  std::unique_ptr<PGconn, void (*)(PGconn*)> connections[] = {
      {PQconnectdb(words[2]), PQfinish}, {PQconnectdb(words[3]), PQfinish}};
  for (int i = 0; i < 2; ++i) {
    const auto branch = Enlist(&*transaction, connections[i].get(),
                               i == 0 ? "bank-a" : "bank-b", options);
    if (!branch.ok()) return Fail(branch.status().ToString());
    if (i == 0) Say("enlisted");
    PQclear(PQexec(connections[i].get(), sql.c_str()));
  }
  Say("worked");
  if (step == "worked") WaitToBeKilled();
  if (step == "prepared") {
    auto third = transaction->StartApplicationManaged("bank-a", options.grace_period, "");
    if (!third.ok()) return Fail(third.status().ToString());
    transaction->AddApplicationManaged(third->branch, std::make_unique<Gate>());
  }
  Say("committing");
  std::ostringstream outcome;
  outcome << "outcome " << transaction->Commit();
  Say(outcome.str());
  return 0;
}

}  // namespace
}  // namespace concordat::client

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  return concordat::client::Run(argv);
}
