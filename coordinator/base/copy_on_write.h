// CopyOnWrite<T>: a value that one thread changes and that snapshots of it share.
//
//   uint64_t snapshots = 0;                       // how many were taken, the owner's
//   CopyOnWrite<Block> block(Block{}, snapshots);
//   ++snapshots;
//   std::shared_ptr<const Block> seen = block.Share();   // for a snapshot, on any thread
//   block.Write(snapshots).count = 7;             // *seen is what it was
//
// A value that was there when the latest snapshot was taken is copied before it is
// changed for the first time; after that it is nobody else's until the next snapshot.
// Whether the snapshot is still in use is not asked: two threads could not agree on that
// without a lock.
#ifndef COORDINATOR_BASE_COPY_ON_WRITE_H_
#define COORDINATOR_BASE_COPY_ON_WRITE_H_

#include <cstdint>
#include <memory>
#include <utility>

namespace concordat {

template <class T>
class CopyOnWrite {
 public:
  CopyOnWrite(T value, uint64_t snapshots)
      : value_(std::make_shared<T>(std::move(value))), snapshots_(snapshots) {}

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  [[nodiscard]] std::shared_ptr<const T> Share() const { return value_; }

  // To be changed at once, before the next snapshot is taken.
  [[nodiscard]] T& Write(uint64_t snapshots) {
    if (snapshots_ != snapshots) {
      value_ = std::make_shared<T>(*value_);
      snapshots_ = snapshots;
    }
    return *value_;
  }

 private:
  std::shared_ptr<T> value_;
  uint64_t snapshots_;  // taken when the value was made
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_COPY_ON_WRITE_H_
