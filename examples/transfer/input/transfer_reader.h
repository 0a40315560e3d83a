// Transfers from a CSV file with the columns from,to,amount: "bank:account" twice and
// an exact decimal amount. A first row that says from,to,amount is passed over.
//
//   TransferReader reader(&in, Scale(2));
//   while (auto row = reader.Next()) {
//     if (const auto* bad = std::get_if<BadRow>(&*row)) ... ToString(*bad)
//     else ... std::get<Transfer>(*row)
//   }
//   if (!reader.status().ok()) ...
//
// or, all at once and with the choice what a bad row means, ReadTransfers below.
#ifndef EXAMPLES_TRANSFER_INPUT_TRANSFER_READER_H_
#define EXAMPLES_TRANSFER_INPUT_TRANSFER_READER_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/transfer/input/account.h"
#include "examples/transfer/input/csv_reader.h"
#include "examples/transfer/input/money.h"

namespace concordat::transfer {

struct Transfer {
  uint64_t line = 0;  // of the file, from 1
  AccountId from;
  AccountId to;  // another than from
  Money amount;  // above zero

  friend bool operator==(const Transfer&, const Transfer&) = default;
};

struct BadRow {
  uint64_t line = 0;
  std::string reason;

  friend bool operator==(const BadRow&, const BadRow&) = default;
};

// "line 7: the amount is zero"
[[nodiscard]] std::string ToString(const BadRow& row);

// Holds one row at a time. Not thread-safe.
class TransferReader {
 public:
  // The stream must outlive the reader.
  TransferReader(std::istream* in, Scale scale) : csv_(in), scale_(scale) {}

  // Nothing at the end of the input, or when it could not be read.
  [[nodiscard]] std::optional<std::variant<Transfer, BadRow>> Next();
  // DATA_LOSS when reading failed: rows may be missing.
  [[nodiscard]] absl::Status status() const { return csv_.status(); }

 private:
  [[nodiscard]] absl::StatusOr<Transfer> Parse(const CsvRecord& record) const;

  CsvReader csv_;
  const Scale scale_;
  bool first_ = true;
};

enum class BadRows { kSkip, kRefuseFile };

struct TransferFile {
  std::vector<Transfer> transfers;
  std::vector<BadRow> bad_rows;  // empty with kRefuseFile
};

// Reads to the end before anything is handed on. DATA_LOSS when reading failed;
// INVALID_ARGUMENT, naming the first bad rows and how many there are, when there is
// one and the policy is kRefuseFile.
[[nodiscard]] absl::StatusOr<TransferFile> ReadTransfers(std::istream* in, Scale scale,
                                                         BadRows policy);

// Each account that occurs, sorted, once.
[[nodiscard]] std::vector<AccountId> AccountsOf(const std::vector<Transfer>& transfers);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_TRANSFER_READER_H_
