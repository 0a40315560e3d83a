// A client of the seat service: it books a seat and pays for it, both or neither.
//
//   book --coordinators 127.0.0.1:7001 open ann 30     opens ann's account with 30
//   book --coordinators 127.0.0.1:7001 buy 12A ann 20  books 12A, takes 20 from ann
//   book --coordinators 127.0.0.1:7001 show ann        shows taken seats, ann's balance
//
// The exit status is 0 when the transaction has committed, 1 when it has not, 3 when that
// is not known.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "coordinator/client/client.h"
#include "coordinator/client/operations.h"

namespace {

namespace client = concordat::client;
using concordat::wire::Code;

absl::Status Buy(client::Transaction* t, const std::string& seat, const std::string& who,
                 int64_t price) {
  concordat::wire::ExecuteRequest book;
  book.__set_opaque("book " + seat + " " + who);
  const auto booked = t->Execute("seats", book);
  if (booked.result.code != Code::OK) return client::ToStatus(booked.result);
  return t->Kv("bank", {client::AddIfAtLeast(who, -price, 0)}).status();
}

absl::Status Show(client::Transaction* t, const std::string& who) {
  concordat::wire::ExecuteRequest list;
  list.__set_opaque("list");
  const auto seats = t->Execute("seats", list);
  if (seats.result.code != Code::OK) return client::ToStatus(seats.result);
  const auto account = t->Kv("bank", {client::Get(who)});
  if (!account.ok()) return account.status();
  const auto& pairs = account->at(0).pairs;
  std::printf("%s%s has %s\n", seats.opaque.c_str(), who.c_str(),
              pairs.empty() ? "no account" : pairs[0].value.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  client::ClientOptions options;
  std::string seat;
  std::string who;
  int64_t amount = 0;
  CLI::App app("book: buys seats");
  app.require_subcommand(1);
  app.add_option("--coordinators", options.coordinators, "Client addresses")
      ->delimiter(',')
      ->required();
  const CLI::App* open = app.add_subcommand("open", "WHO AMOUNT: opens an account");
  CLI::App* buy = app.add_subcommand("buy", "SEAT WHO PRICE: books and pays");
  const CLI::App* show = app.add_subcommand("show", "WHO: seats and balance");
  buy->add_option("seat", seat)->required();
  for (CLI::App* command : app.get_subcommands({})) {
    command->add_option("who", who)->required();
    if (command != show) command->add_option("amount", amount)->required();
  }
  CLI11_PARSE(app, argc, argv);

  auto connected = client::Client::Connect(options);
  if (!connected.ok()) {
    std::fprintf(stderr, "book: %s\n", connected.status().ToString().c_str());
    return 1;
  }
  const client::CommitResult result =
      (*connected)->Run([&](client::Transaction& t) -> absl::Status {
        if (open->parsed()) {
          return t.Kv("bank", {client::Put(who, std::to_string(amount))}).status();
        }
        return show->parsed() ? Show(&t, who) : Buy(&t, seat, who, amount);
      });
  if (!show->parsed() || !result.committed()) {
    std::printf("%s%s%s\n", std::string(ToString(result.outcome)).c_str(),
                result.detail.empty() ? "" : ": ", result.detail.c_str());
  }
  if (result.outcome == concordat::Outcome::kUnknown) return 3;
  return result.committed() ? 0 : 1;
}
