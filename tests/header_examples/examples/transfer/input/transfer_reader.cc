#include "examples/transfer/input/transfer_reader.h"

namespace concordat::transfer {

absl::Status TransferReaderExample(std::istream& in, void (*Report)(const std::string&),
                                   void (*Run)(const Transfer&)) {
  // EXAMPLE
  return absl::OkStatus();
}

}  // namespace concordat::transfer
