// Runs all buyers in the order of their numbers, a fixed number at a time.
//
//   Sale sale(client, plan, habits, clients, seed);
//   sale.Admit(100);                    // the first hundred may buy
//   size_t answered = sale.answered();
//   sale.Admit(plan.buyers);
//   std::vector<Answer> answers = sale.Finish();
#ifndef EXAMPLES_TICKETS_SALE_H_
#define EXAMPLES_TICKETS_SALE_H_

#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/mutex.h"
#include "examples/tickets/purchase.h"

namespace concordat::tickets {

// For the main thread. The destructor waits for the buyers who are inside, and admits no
// more.
class Sale {
 public:
  Sale(client::Client* client, const Plan& plan, Habits habits, size_t clients,
       uint64_t seed);
  ~Sale();

  void Admit(size_t buyers);
  [[nodiscard]] size_t answered();
  [[nodiscard]] size_t inside();
  // The reason of the last failed attempt; empty: there was none.
  [[nodiscard]] std::string last_trouble();
  // To be called when all buyers are admitted: waits for the last answer.
  [[nodiscard]] std::vector<Answer> Finish();

 private:
  void Serve();
  // The next buyer who is admitted; waits if necessary. False: the sale is over.
  [[nodiscard]] bool Next(size_t* buyer);
  void Join();

  client::Client* const client_;
  const Plan plan_;
  Habits habits_;
  const uint64_t seed_;
  Mutex mutex_;
  ConditionVariable changed_;
  size_t admitted_ ABSL_GUARDED_BY(mutex_) = 0;  // buyers with lower numbers may buy
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;      // the next buyer
  bool over_ ABSL_GUARDED_BY(mutex_) = false;    // no more buyers begin
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::string last_trouble_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_SALE_H_
