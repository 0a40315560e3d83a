#include "examples/transfer/bank_data.h"

#include <algorithm>
#include <functional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

constexpr size_t kAccountsAtOnce = 500;

absl::Status Run(client::Client* client, const std::string& what,
                 const std::function<absl::Status(client::Transaction&)>& work) {
  absl::Status worked;
  const client::CommitResult result = client->Run([&](client::Transaction& transaction) {
    worked = work(transaction);
    return worked;
  });
  if (!worked.ok()) {
    return absl::Status(worked.code(), absl::StrCat(what, ": ", worked.message()));
  }
  if (result.committed()) return absl::OkStatus();
  std::ostringstream outcome;
  outcome << result;
  return absl::UnavailableError(absl::StrCat(what, ": ", outcome.str()));
}

absl::StatusOr<wire::ExecuteReply> Execute(client::Transaction* transaction,
                                           const std::string& resource,
                                           wire::ExecuteRequest request) {
  wire::ExecuteReply reply = transaction->Execute(resource, std::move(request));
  if (absl::Status s = client::ToStatus(reply.result); !s.ok()) return s;
  return reply;
}

absl::Status ReadBalances(client::Transaction* transaction, const std::string& resource,
                          const ResourceAccess& access, ResourceContents* contents) {
  for (std::string last;;) {
    const auto reply = Execute(transaction, resource, access.ListBalances(last));
    if (!reply.ok()) return reply.status();
    auto page = access.ListedBalances(*reply);
    if (!page.ok()) return page.status();
    for (auto& [key, money] : *page) contents->balances[key] = money;
    if (page->size() < ResourceAccess::kPage) return absl::OkStatus();
    last = page->back().first;
  }
}

absl::Status ReadEvidence(client::Transaction* transaction, const std::string& resource,
                          const ResourceAccess& access, ResourceContents* contents) {
  for (uint64_t last = 0;;) {
    const auto reply = Execute(transaction, resource, access.ListEvidence(last));
    if (!reply.ok()) return reply.status();
    auto page = access.ListedEvidence(*reply);
    if (!page.ok()) return page.status();
    std::move(page->begin(), page->end(), std::back_inserter(contents->evidence));
    if (page->size() < ResourceAccess::kPage) return absl::OkStatus();
    last = contents->evidence.back().number;
  }
}

}  // namespace

absl::Status OpenAccounts(client::Client* client, const Book& book,
                          const Accesses& accesses) {
  std::vector<std::vector<Balance>> by_resource(accesses.size());
  for (const Account& account : book.accounts()) {
    by_resource[account.resource].emplace_back(account.key, account.opening);
  }
  for (size_t r = 0; r < by_resource.size(); ++r) {
    const std::string& resource = book.resources()[r];
    const std::vector<Balance>& all = by_resource[r];
    for (size_t begin = 0; begin < all.size(); begin += kAccountsAtOnce) {
      const size_t end = std::min(begin + kAccountsAtOnce, all.size());
      const std::vector<Balance> part(all.begin() + static_cast<ptrdiff_t>(begin),
                                      all.begin() + static_cast<ptrdiff_t>(end));
      absl::Status status =
          Run(client, absl::StrCat("opening accounts at ", resource),
              [&](client::Transaction& t) {
                return Execute(&t, resource, accesses[r]->Open(part)).status();
              });
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ResourceContents>> ReadEverything(client::Client* client,
                                                             const Book& book,
                                                             const Accesses& accesses) {
  std::vector<ResourceContents> all(accesses.size());
  for (size_t r = 0; r < accesses.size(); ++r) {
    const std::string& resource = book.resources()[r];
    absl::Status status =
        Run(client, absl::StrCat("reading ", resource), [&](client::Transaction& t) {
          all[r] = ResourceContents();
          absl::Status s = ReadBalances(&t, resource, *accesses[r], &all[r]);
          return s.ok() ? ReadEvidence(&t, resource, *accesses[r], &all[r]) : s;
        });
    if (!status.ok()) return status;
  }
  return all;
}

}  // namespace concordat::transfer
