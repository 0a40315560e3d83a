#include "examples/transfer/book.h"

namespace concordat::transfer {

void BookExample(const std::vector<std::pair<AccountId, Money>>& opening) {
  // EXAMPLE
}

}  // namespace concordat::transfer
