// Keeps a number of transactions in flight: each works at bank-0 and at bank-1, both at
// once, and commits; or leaves the work to the commit (way kAtCommit).
#ifndef TESTS_BENCH_COMMIT_LOAD_H_
#define TESTS_BENCH_COMMIT_LOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/random.h"
#include "coordinator/client/async_client.h"
#include "coordinator/client/link.h"
#include "tests/support/processes.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::bench {

enum class Way : uint8_t {
  kDecided,   // Execute, then Commit in that mode
  kParallel,  // the same in mode parallel
  kAtCommit,  // AtCommit, then Commit in mode decided
};

struct Figures {
  double rate = 0;                // committed, a second
  std::vector<double> commit_us;  // from the commit's request
  std::vector<double> whole_us;   // from the begin
  uint64_t aborted = 0;
  uint64_t unknown = 0;
};

// The work at one bank: takes `delta` of some account.
using MakeWork = std::function<wire::ExecuteRequest(Random* random, int64_t delta)>;
[[nodiscard]] wire::ExecuteRequest KvWork(Random* random, int64_t delta);

// "account-0" to "account-99999".
[[nodiscard]] std::string AccountName(Random* random);

class Load {
 public:
  Load(rpc::EventLoop* loop, const std::vector<std::string>& coordinators,
       MakeWork make_work = KvWork);

  // Runs the loop for a while, then until what is in flight has ended.
  Figures Run(size_t in_flight, Way way, double warm_up, double seconds);

  [[nodiscard]] client::ChannelLinkProvider& links() { return links_; }

 private:
  struct Flight;
  void Begin();
  void Work(const std::shared_ptr<Flight>& flight, const std::string& bank,
            int64_t delta);
  void WorkAtCommit(const std::shared_ptr<Flight>& flight);
  void Commit(const std::shared_ptr<Flight>& flight);
  void Done(const Flight& flight, const client::CommitResult& result);

  rpc::EventLoop* const loop_;
  client::ChannelLinkProvider links_;
  client::AsyncClient client_;
  const MakeWork make_work_;
  Random random_;
  Figures figures_;
  Way way_ = Way::kDecided;
  double measure_from_ = 0;
  double stop_at_ = 0;
  size_t running_ = 0;
};

// On a loop and a client of its own.
[[nodiscard]] Figures RunLoad(const std::vector<std::string>& coordinators,
                              const MakeWork& make_work, size_t in_flight, Way way,
                              double seconds);

// Of several rounds, by name.
struct Medians {
  std::map<std::string, std::vector<double>> values;
  void Add(const std::string& name, double value) { values[name].push_back(value); }
  [[nodiscard]] double Of(const std::string& name) const {
    const auto found = values.find(name);
    return found == values.end() ? 0 : testing::Median(found->second);
  }
};

[[nodiscard]] inline const char* Name(Way way) {
  if (way == Way::kAtCommit) return "at-commit";
  return way == Way::kParallel ? "parallel" : "decided";
}

}  // namespace concordat::bench

#endif  // TESTS_BENCH_COMMIT_LOAD_H_
