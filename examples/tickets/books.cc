#include "examples/tickets/books.h"

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/tickets/plan.h"

namespace concordat::tickets {

namespace {

absl::Status ReadSeats(client::Transaction* t, std::vector<SeatRow>* seats) {
  wire::ExecuteRequest work;
  work.__set_opaque("list");
  const wire::ExecuteReply reply = t->Execute(kSeats, work);
  if (reply.result.code != wire::Code::OK) return client::ToStatus(reply.result);
  std::istringstream lines(reply.opaque);
  for (SeatRow row; lines >> row.seat >> row.state >> row.buyer;) seats->push_back(row);
  return absl::OkStatus();
}

absl::Status ReadEntries(client::Transaction* t, const std::string& resource,
                         const std::string& sql, std::vector<Entry>* entries) {
  const auto result = t->Sql(resource, client::Sql(sql));
  if (!result.ok()) return result.status();
  for (const wire::SqlRow& row : result->rows) {
    const auto& v = row.values;
    entries->push_back({v.at(0).text, v.at(1).text, v.at(2).text, v.at(3).integer});
  }
  return absl::OkStatus();
}

absl::Status ReadAccounts(client::Transaction* t, const std::string& resource,
                          const std::string& sql,
                          std::map<std::string, int64_t>* accounts) {
  const auto result = t->Sql(resource, client::Sql(sql));
  if (!result.ok()) return result.status();
  for (const wire::SqlRow& row : result->rows) {
    (*accounts)[row.values.at(0).text] = row.values.at(1).integer;
  }
  return absl::OkStatus();
}

absl::Status ReadAll(client::Transaction* t, Books* books) {
  *books = {};
  absl::Status status = ReadSeats(t, &books->seats);
  status.Update(ReadEntries(
      t, kPayments, "SELECT gtid, buyer, seat, amount FROM payments", &books->payments));
  status.Update(ReadEntries(t, kLoyalty, "SELECT gtid, buyer, seat, points FROM earned",
                            &books->earned));
  status.Update(ReadAccounts(t, kPayments, "SELECT buyer, balance FROM accounts",
                             &books->balances));
  status.Update(
      ReadAccounts(t, kLoyalty, "SELECT buyer, points FROM members", &books->points));
  return status;
}

}  // namespace

absl::StatusOr<Books> ReadBooks(client::Client* client) {
  Books books;
  const client::CommitResult result =
      client->Run([&books](client::Transaction& t) { return ReadAll(&t, &books); });
  if (result.committed()) return books;
  return absl::UnavailableError(
      absl::StrCat("the books cannot be read: ", result.detail));
}

}  // namespace concordat::tickets
