// The example's options, from its flags.
#ifndef EXAMPLES_TRANSFER_OPTIONS_H_
#define EXAMPLES_TRANSFER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "coordinator/client/async_client.h"
#include "examples/processes/programs.h"
#include "examples/transfer/banks.h"
#include "examples/transfer/input/money.h"

namespace concordat::transfer {

struct Options {
  std::string csv;  // empty: the sample
  bool strict = false;
  bool small_bank = false;
  uint64_t transactions = 0;  // of SmallBank; 0: as many as fit into `seconds`
  uint64_t seconds = 0;
  uint64_t customers = 1000;
  uint64_t kills = 3;
  uint64_t clients = 64;
  bool embedded = false;
  BankResources banks;
  bool keep = false;
  uint64_t seed = 1;
  CommitMode mode = CommitMode::kDecided;
  Scale scale = Scale(2);
  // The opening balance of every account in a CSV file.
  Money opening;
};

struct Parsed {
  Options options;
  // The program must end with exit_code: help was requested, or an option was wrong and a
  // message has been printed.
  bool exit = false;
  int exit_code = 0;
};
[[nodiscard]] Parsed ParseCommandLine(int argc, char** argv);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_OPTIONS_H_
