#include "tests/unit/rpc/allocation_watch.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<bool> watching{false};
std::atomic<size_t> largest_seen{0};

#if defined(__has_feature)
#define RPC_TEST_HAS_FEATURE(x) __has_feature(x)
#else
#define RPC_TEST_HAS_FEATURE(x) 0
#endif
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !RPC_TEST_HAS_FEATURE(address_sanitizer) && !RPC_TEST_HAS_FEATURE(thread_sanitizer)

void* operator new(size_t size) {
  if (watching.load(std::memory_order_relaxed)) {
    size_t seen = largest_seen.load(std::memory_order_relaxed);
    while (size > seen && !largest_seen.compare_exchange_weak(seen, size)) {
    }
  }
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { std::free(memory); }

#endif

namespace concordat::rpc::testing {

AllocationWatch::AllocationWatch() {
  largest_seen.store(0);
  watching.store(true);
}
AllocationWatch::~AllocationWatch() { watching.store(false); }
size_t AllocationWatch::largest() const { return largest_seen.load(); }

}  // namespace concordat::rpc::testing
