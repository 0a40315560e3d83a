#include "examples/transfer/input_plan.h"

#include <errno.h>
#include <string.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "examples/processes/console.h"

namespace concordat::transfer {

namespace {

// The path of the sample in the source folder, which the build sets.
constexpr const char* kSample = CONCORDAT_TRANSFER_SAMPLE;

absl::StatusOr<std::ifstream> Open(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    return absl::NotFoundError(absl::StrCat("cannot read ", file, ": it is a folder"));
  }
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (in) return in;
  return absl::NotFoundError(absl::StrCat("cannot read ", file, ": ", strerror(errno)));
}

absl::StatusOr<InputPlan> FromFile(const Options& options) {
  const std::string file = options.csv.empty() ? kSample : options.csv;
  auto in = Open(file);
  if (!in.ok()) return in.status();
  auto read = ReadTransfers(&*in, options.scale,
                            options.strict ? BadRows::kRefuseFile : BadRows::kSkip);
  if (!read.ok()) {
    return absl::Status(read.status().code(),
                        absl::StrCat(file, ": ", read.status().message()));
  }
  if (read->transfers.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, " has no transfer"));
  }
  InputPlan plan;
  for (AccountId& account : AccountsOf(read->transfers)) {
    plan.opening.emplace_back(std::move(account), options.opening);
  }
  plan.total = read->transfers.size();
  plan.description = absl::StrCat(example::Grouped(plan.total), " transfers of ", file);
  plan.bad_rows = std::move(read->bad_rows);
  plan.source = FromTransfers(std::move(read->transfers));
  return plan;
}

absl::StatusOr<InputPlan> FromSmallBank(const Options& options) {
  SmallBankOptions small_bank;
  small_bank.banks = {"north", "east", "south"};
  small_bank.customers = options.customers;
  small_bank.scale = options.scale;
  small_bank.seed = options.seed;
  auto made = SmallBank::Make(std::move(small_bank));
  if (!made.ok()) return made.status();
  InputPlan plan;
  plan.small_bank = std::make_unique<SmallBank>(*std::move(made));
  plan.opening = plan.small_bank->OpeningAccounts();
  plan.source = FromSmallBank(plan.small_bank.get(), options.seed);
  if (options.seconds == 0) {
    plan.total = options.transactions;
    plan.source = Limit(std::move(plan.source), plan.total);
  }
  plan.description = absl::StrCat(
      plan.total == 0 ? absl::StrCat(options.seconds, " seconds")
                      : absl::StrCat(example::Grouped(plan.total), " transactions"),
      " of SmallBank, seed ", options.seed);
  return plan;
}

}  // namespace

absl::StatusOr<InputPlan> MakeInputPlan(const Options& options) {
  return options.small_bank ? FromSmallBank(options) : FromFile(options);
}

}  // namespace concordat::transfer
