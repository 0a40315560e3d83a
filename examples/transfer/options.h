// What the example is told by flags.
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
  // On every account that a CSV file names.
  Money opening;
};

struct Parsed {
  Options options;
  // Set when the program should end at once: help was asked for, or the words were
  // wrong (and the message has been printed).
  bool exit = false;
  int exit_code = 0;
};
[[nodiscard]] Parsed ParseCommandLine(int argc, char** argv);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_OPTIONS_H_
