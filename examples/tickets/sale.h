// All buyers, a fixed number at a time, in the order of their numbers.
//
//   Sale sale(client, plan, habits, clients, seed);
//   sale.Admit(100);      // the first hundred may come
//   sale.answered();
//   sale.Admit(plan.buyers);  auto answers = sale.Finish();
#ifndef EXAMPLES_TICKETS_SALE_H_
#define EXAMPLES_TICKETS_SALE_H_

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/mutex.h"
#include "examples/tickets/purchase.h"

namespace concordat::tickets {

// Main thread. Waits at its end for the buyers inside; nobody else comes in then.
class Sale {
 public:
  Sale(client::Client* client, const Plan& plan, Habits habits, size_t clients,
       uint64_t seed);
  ~Sale();

  void Admit(size_t buyers);
  [[nodiscard]] size_t answered();
  [[nodiscard]] size_t inside();
  // Why the last try that failed did so; empty when none has.
  [[nodiscard]] std::string last_trouble();
  // When all have been admitted: waits for the last answer.
  [[nodiscard]] std::vector<Answer> Finish();

 private:
  void Serve();
  // False: the sale is over.
  [[nodiscard]] bool Next(size_t* buyer);
  void Join();

  client::Client* const client_;
  const Plan plan_;
  Habits habits_;
  const uint64_t seed_;
  Mutex mutex_;
  ConditionVariable changed_;
  size_t admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::string last_trouble_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_SALE_H_
