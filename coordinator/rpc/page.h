// Limits a list in an answer. An answer over the limits of the wire (thrift/rpc/limits.h)
// would not be sent, so a long list is cut by its encoded size.
//
//   reply.__set_more(Page().Truncate(&items, limit));
#ifndef COORDINATOR_RPC_PAGE_H_
#define COORDINATOR_RPC_PAGE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "thrift/rpc/codec.h"
#include "thrift/rpc/limits.h"

namespace concordat::rpc {

class Page {
 public:
  // A quarter of the bytes and elements of a frame is left for the rest of the answer.
  static constexpr size_t kMaxBytes = Limits{}.max_frame_bytes / 4 * 3;

  Page() : codec_(MakeWriter(ForItems())) { codec_->BeginWrite(); }

  // Keeps the first items: as many as fit, but at most `limit` and at least one. Returns
  // whether there were more.
  template <class Item>
  [[nodiscard]] bool Truncate(std::vector<Item>* items, size_t limit) {
    size_t fitting = 0;
    while (fitting < items->size() && fitting < limit) {
      (*items)[fitting].write(codec_.get());
      const bool fits =
          codec_->buffer()->output_size() <= kMaxBytes && codec_->write_excess().empty();
      if (!fits && fitting > 0) break;
      ++fitting;
    }
    const bool more = fitting < items->size();
    items->resize(fitting);
    return more;
  }

 private:
  static Limits ForItems() {
    Limits limits;
    limits.max_frame_elements = limits.max_frame_elements / 4 * 3;
    return limits;
  }

  const std::shared_ptr<Codec> codec_;  // measures the items' encoded size
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_PAGE_H_
