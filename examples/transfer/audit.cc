#include "examples/transfer/audit.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::transfer {

namespace {

constexpr size_t kMaxFindings = 20;

class Auditor {
 public:
  Auditor(const Book& book, const std::vector<ResourceContents>& contents,
          const Scale& scale)
      : book_(book), contents_(contents), scale_(scale), rows_(contents.size()) {
    CONCORDAT_CHECK(contents.size() == book.resources().size());
    for (const Account& account : book.accounts()) {
      expected_.push_back(account.opening);
    }
  }

  AuditResult Run(const Ledger& ledger) {
    IndexEvidence();
    for (const LedgerEntry& entry : ledger) CheckEntry(entry);
    CheckLeftOver();
    CheckBalances();
    SumUp();
    return std::move(result_);
  }

 private:
  using RowsByNumber = std::map<uint64_t, const Evidence*>;

  void Find(std::string finding) {
    ++result_.finding_count;
    if (result_.findings.size() < kMaxFindings) {
      result_.findings.push_back(std::move(finding));
    }
  }

  void IndexEvidence() {
    for (size_t r = 0; r < contents_.size(); ++r) {
      for (const Evidence& row : contents_[r].evidence) {
        ++result_.evidence_rows;
        if (rows_[r].emplace(row.number, &row).second) continue;
        Find(absl::StrCat("transfer ", row.number, " has two rows of evidence at ",
                          book_.resources()[r]));
      }
    }
  }

  // The total change at each resource that the entry changes.
  std::map<size_t, Money> NetByResource(const LedgerEntry& entry) const {
    std::map<size_t, Money> nets;
    for (const LedgerEntry::Delta& delta : entry.deltas) {
      Money& net = nets[book_.account(delta.account).resource];
      net = *Add(net, delta.amount);
    }
    return nets;
  }

  void CheckEntry(const LedgerEntry& entry) {
    const std::map<size_t, Money> nets = NetByResource(entry);
    size_t present = 0;
    for (size_t r = 0; r < rows_.size(); ++r) {
      const auto found = rows_[r].find(entry.number);
      if (found == rows_[r].end()) continue;
      if (CheckRow(entry, *found->second, r, nets)) ++present;
      rows_[r].erase(found);
    }
    const bool all = present == nets.size() && present > 0;
    switch (entry.told) {
      case Told::kCommitted:
        ++result_.committed;
        if (present != nets.size()) FindPartial(entry, "COMMITTED", present, nets.size());
        Apply(entry);
        break;
      case Told::kRefused:
      case Told::kAborted:
        if (present != 0) FindPartial(entry, "ABORTED", present, nets.size());
        break;
      case Told::kUnknown:
        if (present != 0 && !all) FindPartial(entry, "UNKNOWN", present, nets.size());
        ++(all ? result_.unknown_committed : result_.unknown_not_done);
        if (all) Apply(entry);
        break;
    }
  }

  // Whether the row has this entry's gtid and change.
  bool CheckRow(const LedgerEntry& entry, const Evidence& row, size_t resource,
                const std::map<size_t, Money>& nets) {
    const std::string& name = book_.resources()[resource];
    if (row.gtid != ToString(entry.gtid)) {
      Find(absl::StrCat("transfer ", entry.number, " was done at ", name,
                        " by transaction ", row.gtid, ", its client knows of ",
                        ToString(entry.gtid)));
      return false;
    }
    const auto net = nets.find(resource);
    if (net == nets.end()) {
      Find(absl::StrCat("transfer ", entry.number, " left evidence at ", name,
                        ", where it had nothing to do"));
      return false;
    }
    if (row.net != net->second) {
      Find(absl::StrCat("transfer ", entry.number, " changed ", name, " by ",
                        scale_.Format(row.net), ", its client wanted ",
                        scale_.Format(net->second)));
    }
    return true;
  }

  void FindPartial(const LedgerEntry& entry, const char* told, size_t present,
                   size_t wanted) {
    Find(absl::StrCat("transfer ", entry.number, " (", ToString(entry.gtid), "): told ",
                      told, ", done at ", present, " of its ", wanted, " resources"));
  }

  void Apply(const LedgerEntry& entry) {
    for (const LedgerEntry::Delta& delta : entry.deltas) {
      Money& expected = expected_[delta.account];
      expected = *Add(expected, delta.amount);
    }
  }

  void CheckLeftOver() {
    for (size_t r = 0; r < rows_.size(); ++r) {
      for (const auto& [number, row] : rows_[r]) {
        Find(absl::StrCat("evidence of transfer ", number, " (", row->gtid, ") at ",
                          book_.resources()[r], ", which nobody was told about"));
      }
    }
  }

  void CheckBalances() {
    std::vector<std::set<std::string>> known(contents_.size());
    for (uint32_t n = 0; n < book_.accounts().size(); ++n) {
      const Account& account = book_.account(n);
      known[account.resource].insert(account.key);
      const auto& balances = contents_[account.resource].balances;
      const auto found = balances.find(account.key);
      if (found == balances.end()) {
        Find(absl::StrCat("account ", account.key, " is gone"));
      } else if (found->second != expected_[n]) {
        Find(absl::StrCat("account ", account.key, " has ", scale_.Format(found->second),
                          " and should have ", scale_.Format(expected_[n])));
      }
    }
    for (size_t r = 0; r < contents_.size(); ++r) {
      for (const auto& [key, money] : contents_[r].balances) {
        if (!known[r].contains(key)) {
          Find(absl::StrCat("account ", key, " at ", book_.resources()[r],
                            " was never opened there"));
        }
      }
    }
  }

  void SumUp() {
    result_.accounts = book_.accounts().size();
    for (const Money expected : expected_) Sum(expected, &result_.money_expected);
    for (const ResourceContents& contents : contents_) {
      for (const auto& [key, money] : contents.balances) {
        Sum(money, &result_.money_after);
      }
    }
    if (result_.money_after != result_.money_expected) {
      Find(absl::StrCat("the banks have ", scale_.Format(result_.money_after),
                        " and should have ", scale_.Format(result_.money_expected)));
    }
  }

  void Sum(Money part, Money* sum) {
    const auto total = Add(*sum, part);
    if (total) {
      *sum = *total;
    } else {
      Find("the sum of all balances does not fit");
    }
  }

  const Book& book_;
  const std::vector<ResourceContents>& contents_;
  const Scale& scale_;
  std::vector<RowsByNumber> rows_;  // by resource; those not matched to an entry yet
  std::vector<Money> expected_;     // by the account's number
  AuditResult result_;
};

}  // namespace

AuditResult Audit(const Book& book, const Ledger& ledger,
                  const std::vector<ResourceContents>& contents, const Scale& scale) {
  return Auditor(book, contents, scale).Run(ledger);
}

}  // namespace concordat::transfer
