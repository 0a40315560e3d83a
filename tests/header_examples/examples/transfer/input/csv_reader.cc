#include "examples/transfer/input/csv_reader.h"

namespace concordat::transfer {

void CsvReaderExample(std::istream& in) {
  // EXAMPLE
}

}  // namespace concordat::transfer
