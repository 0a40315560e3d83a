#include "examples/transfer/input/transfer_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

bool IsHeader(const CsvRecord& record) {
  return record.error.empty() &&
         record.fields == std::vector<std::string>{"from", "to", "amount"};
}

bool IsBlank(const CsvRecord& record) {
  return record.error.empty() && record.fields.size() == 1 &&
         record.fields[0].find_first_not_of(" \t") == std::string::npos;
}

absl::Status Refuse(std::string why) {
  return absl::InvalidArgumentError(std::move(why));
}

// Adds the column to the status's message.
absl::Status InColumn(const char* column, const absl::Status& status) {
  return Refuse(absl::StrCat(column, ": ", status.message()));
}

absl::Status RefuseFile(const std::vector<BadRow>& bad_rows) {
  static constexpr size_t kNamed = 10;
  std::string what = absl::StrCat(bad_rows.size(), " bad rows");
  for (size_t i = 0; i < bad_rows.size() && i < kNamed; ++i) {
    absl::StrAppend(&what, "; ", ToString(bad_rows[i]));
  }
  if (bad_rows.size() > kNamed) absl::StrAppend(&what, "; ...");
  return Refuse(std::move(what));
}

}  // namespace

std::string ToString(const BadRow& row) {
  return absl::StrCat("line ", row.line, ": ", row.reason);
}

std::optional<std::variant<Transfer, BadRow>> TransferReader::Next() {
  CsvRecord record;
  while (csv_.Next(&record)) {
    if (IsBlank(record)) continue;
    const bool header = std::exchange(first_, false) && IsHeader(record);
    if (header) continue;
    absl::StatusOr<Transfer> transfer = Parse(record);
    if (transfer.ok()) return *std::move(transfer);
    return BadRow{record.line, std::string(transfer.status().message())};
  }
  return std::nullopt;
}

absl::StatusOr<Transfer> TransferReader::Parse(const CsvRecord& record) const {
  static constexpr size_t kColumns = 3;
  if (!record.error.empty()) return Refuse(record.error);
  const size_t fields = record.fields.size();
  if (fields != kColumns) {
    return Refuse(absl::StrCat(fields < kColumns ? "missing field" : "too many fields",
                               ": from,to,amount wanted, ", fields, " found"));
  }
  auto from = ParseAccount(record.fields[0]);
  if (!from.ok()) return InColumn("from", from.status());
  auto to = ParseAccount(record.fields[1]);
  if (!to.ok()) return InColumn("to", to.status());
  auto amount = scale_.Parse(record.fields[2]);
  if (!amount.ok()) return Refuse(std::string(amount.status().message()));
  if (amount->is_zero()) return Refuse("the amount is zero");
  if (*from == *to) return Refuse("from and to are the same account");
  return Transfer{record.line, *std::move(from), *std::move(to), *amount};
}

absl::StatusOr<TransferFile> ReadTransfers(std::istream* in, Scale scale,
                                           BadRows policy) {
  TransferFile file;
  TransferReader reader(in, scale);
  while (auto row = reader.Next()) {
    if (auto* bad = std::get_if<BadRow>(&*row)) {
      file.bad_rows.push_back(std::move(*bad));
    } else {
      file.transfers.push_back(std::get<Transfer>(*std::move(row)));
    }
  }
  if (!reader.status().ok()) return reader.status();
  if (policy == BadRows::kRefuseFile && !file.bad_rows.empty()) {
    return RefuseFile(file.bad_rows);
  }
  return file;
}

std::vector<AccountId> AccountsOf(const std::vector<Transfer>& transfers) {
  std::vector<AccountId> accounts;
  accounts.reserve(transfers.size() * 2);
  for (const Transfer& transfer : transfers) {
    accounts.push_back(transfer.from);
    accounts.push_back(transfer.to);
  }
  std::sort(accounts.begin(), accounts.end());
  accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
  return accounts;
}

}  // namespace concordat::transfer
