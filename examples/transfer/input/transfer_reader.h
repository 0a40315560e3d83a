// Reads transfers from a CSV file with the columns from,to,amount: twice "bank:account"
// and an exact decimal amount. A first row "from,to,amount" is skipped.
//
//   TransferReader reader(&in, Scale(2));
//   while (auto row = reader.Next()) {
//     if (const auto* bad = std::get_if<BadRow>(&*row)) {
//       Report(ToString(*bad));
//     } else {
//       Run(std::get<Transfer>(*row));
//     }
//   }
//   if (!reader.status().ok()) return reader.status();
//
// ReadTransfers, below, reads a whole file, with a policy for bad rows.
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
  AccountId to;  // never equal to from
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

  // nullopt: the end of the input, or it could not be read.
  [[nodiscard]] std::optional<std::variant<Transfer, BadRow>> Next();
  // DATA_LOSS: the input could not be read, so rows may be missing.
  [[nodiscard]] absl::Status status() const { return csv_.status(); }

 private:
  [[nodiscard]] absl::StatusOr<Transfer> Parse(const CsvRecord& record) const;

  CsvReader csv_;
  const Scale scale_;
  bool first_ = true;  // the next row is the first
};

enum class BadRows { kSkip, kRefuseFile };

struct TransferFile {
  std::vector<Transfer> transfers;
  std::vector<BadRow> bad_rows;  // empty with kRefuseFile
};

// Reads the whole input. DATA_LOSS: it could not be read. INVALID_ARGUMENT: there are bad
// rows and the policy is kRefuseFile; the message has the first of them and their number.
[[nodiscard]] absl::StatusOr<TransferFile> ReadTransfers(std::istream* in, Scale scale,
                                                         BadRows policy);

// All accounts that occur, sorted, each once.
[[nodiscard]] std::vector<AccountId> AccountsOf(const std::vector<Transfer>& transfers);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_TRANSFER_READER_H_
