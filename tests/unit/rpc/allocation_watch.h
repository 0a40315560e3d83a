// The size of the largest allocation of all threads while such an object exists.
#ifndef TESTS_UNIT_RPC_ALLOCATION_WATCH_H_
#define TESTS_UNIT_RPC_ALLOCATION_WATCH_H_

#include <cstddef>

namespace concordat::rpc::testing {

class AllocationWatch {
 public:
  AllocationWatch();
  ~AllocationWatch();
  AllocationWatch(const AllocationWatch&) = delete;
  AllocationWatch& operator=(const AllocationWatch&) = delete;
  // Always 0 under a sanitizer, which has an operator new of its own.
  [[nodiscard]] size_t largest() const;
};

}  // namespace concordat::rpc::testing

#endif  // TESTS_UNIT_RPC_ALLOCATION_WATCH_H_
