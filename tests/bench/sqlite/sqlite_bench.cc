// How many branches a second one SQLite file can process.
//
//   sqlite_bench [--seconds S] [--folder DIR]
//
// One thread plays the participant's loop: it starts branches, sends the next verb when
// the last one was answered, and keeps K branches going. Every vote and every commit
// comes after a flush. The floor, a 4-KiB write with fdatasync into a preallocated file,
// is measured first, in the same folder.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "participant/resources/sqlite/sqlite_resource_manager.h"
#include "tests/support/temp_dir.h"

namespace concordat::participant {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kAccounts = 100000;

double Since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Microseconds for a flushed 4-KiB write: the median.
double MeasureFlush(const std::string& folder) {
  const std::string path = folder + "/floor";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
  std::vector<char> block(4096, 'x');
  for (int i = 0; i < 1024; ++i) {
    if (pwrite(fd, block.data(), block.size(), i * 4096) < 0) std::abort();
  }
  fsync(fd);
  std::vector<double> times;
  for (int i = 0; i < 1000; ++i) {
    const auto start = SteadyClock::now();
    if (pwrite(fd, block.data(), block.size(), i * 4096) < 0) std::abort();
    fdatasync(fd);
    times.push_back(Since(start) * 1e6);
  }
  close(fd);
  std::nth_element(times.begin(), times.begin() + 500, times.end());
  return times[500];
}

enum class Kind { kTwoPhase, kOnePhase, kTwoCalls, kReadOnly };

struct Load {
  const char* name;
  Kind kind;
  int in_flight;
};

// One closed-loop client.
struct Client {
  BranchId branch;
  wire::ExecuteRequest request;
  int calls_left = 0;
  SteadyClock::time_point begun;
};

class Driver {
 public:
  Driver(SqliteResourceManager* rm, Load load, uint64_t* sequence)
      : rm_(rm), load_(load), sequence_(sequence), random_(*sequence) {}

  void Run(double seconds) {
    clients_.resize(static_cast<size_t>(load_.in_flight));
    const auto start = SteadyClock::now();
    for (Client& client : clients_) Begin(&client);
    int running = load_.in_flight;
    std::vector<Event> events;
    while (running > 0) {
      TakeEvents(&events);
      const bool stop = Since(start) > seconds;
      for (const Event& event : events) {
        if (!Step(event)) continue;
        Count(*event.client);
        if (stop) {
          --running;
        } else {
          Begin(event.client);
        }
      }
    }
    Report(Since(start));
  }

 private:
  enum class What { kExecuted, kPrepared, kOver };
  struct Event {
    Client* client;
    What what;
  };

  void Post(Client* client, What what) {
    MutexLock lock(&mutex_);
    events_.push_back({client, what});
    if (events_.size() == 1) changed_.NotifyOne();
  }
  void TakeEvents(std::vector<Event>* events) {
    events->clear();
    MutexLock lock(&mutex_);
    while (events_.empty()) changed_.Wait(&mutex_);
    events->swap(events_);
  }

  void Begin(Client* client) {
    BranchId id;
    id.gtid = Gtid{GroupId(1), Term(1), ++*sequence_};
    id.resource = "bank";
    id.incarnation = Incarnation(0x123456789abcdef);
    id.number = *sequence_;
    client->branch = id;
    client->begun = SteadyClock::now();
    client->calls_left = load_.kind == Kind::kTwoCalls ? 2 : 1;
    StartOptions options;
    options.age = id.gtid;
    if (!rm_->Start(id, options).ok()) std::abort();
    Execute(client);
  }

  void Execute(Client* client) {
    wire::SqlStatement statement;
    wire::Value account;
    account.__set_integer(static_cast<int64_t>(random_.Below(kAccounts)));
    if (load_.kind == Kind::kReadOnly) {
      statement.sql = "SELECT balance FROM account WHERE id=?";
      statement.__set_parameters({account});
    } else {
      wire::Value amount;
      amount.__set_integer(1);
      statement.sql = "UPDATE account SET balance=balance-? WHERE id=? AND balance>=?";
      statement.__set_parameters({amount, account, amount});
    }
    client->request.__set_sql({statement});
    --client->calls_left;
    rm_->Execute(client->branch, client->request,
                 [this, client](wire::ExecuteReply reply) {
                   if (reply.result.code == wire::Code::OK) {
                     Post(client, What::kExecuted);
                   } else {
                     ++conflicts_;
                     Post(client, What::kOver);
                   }
                 });
  }

  // True: the branch has ended.
  bool Step(const Event& event) {
    Client* client = event.client;
    if (event.what == What::kOver) return true;
    if (event.what == What::kPrepared) {
      rm_->Commit(client->branch, [this, client](FinishResult r) {
        if (r.state != FinishState::kDone) std::abort();
        Post(client, What::kOver);
      });
    } else if (client->calls_left > 0) {
      Execute(client);
    } else if (load_.kind == Kind::kOnePhase) {
      rm_->CommitOnePhase(client->branch, [this, client](OnePhaseResult r) {
        if (r.outcome != OnePhase::kCommitted) std::abort();
        Post(client, What::kOver);
      });
    } else {
      rm_->Prepare(client->branch, [this, client](PrepareResult r) {
        Post(client, r.vote == Vote::kPrepared ? What::kPrepared : What::kOver);
      });
    }
    return false;
  }

  void Count(const Client& client) { latencies_.push_back(Since(client.begun) * 1e6); }

  void Report(double seconds) {
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [this](double q) {
      return latencies_[static_cast<size_t>(q *
                                            static_cast<double>(latencies_.size() - 1))];
    };
    std::printf(
        "%-34s %4d in flight  %8.0f branches/s  p50 %7.0f us  p99 %7.0f us"
        "  conflicts %d\n",
        load_.name, load_.in_flight, static_cast<double>(latencies_.size()) / seconds,
        at(0.5), at(0.99), conflicts_);
    std::fflush(stdout);
  }

  SqliteResourceManager* const rm_;
  const Load load_;
  uint64_t* const sequence_;
  Random random_;
  std::vector<Client> clients_;
  std::vector<double> latencies_;
  int conflicts_ = 0;  // written on the writer's thread; read after the end
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Event> events_;
};

int Main(const std::string& folder, double seconds) {
  std::printf("floor: 4-KiB write + fdatasync, median %.0f us\n", MeasureFlush(folder));
  SqliteOptions options;
  options.schema_sql =
      "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
      "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<" +
      std::to_string(kAccounts - 1) + ") INSERT INTO account SELECT i, 1000000 FROM n;";
  SqliteResourceManager rm(folder + "/bank.db", options);
  std::promise<absl::Status> opened;
  rm.Recover(ClusterId(1), [&opened](absl::StatusOr<std::vector<BranchId>> prepared) {
    opened.set_value(prepared.status());
  });
  const absl::Status status = opened.get_future().get();
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  uint64_t sequence = 0;
  for (const Load load : {Load{"two-phase, one small UPDATE", Kind::kTwoPhase, 1},
                          Load{"two-phase, one small UPDATE", Kind::kTwoPhase, 16},
                          Load{"two-phase, one small UPDATE", Kind::kTwoPhase, 64},
                          Load{"two-phase, one small UPDATE", Kind::kTwoPhase, 256},
                          Load{"two-phase, two UPDATE calls", Kind::kTwoCalls, 64},
                          Load{"one-phase, one small UPDATE", Kind::kOnePhase, 1},
                          Load{"one-phase, one small UPDATE", Kind::kOnePhase, 64},
                          Load{"one SELECT, then prepare", Kind::kReadOnly, 64}}) {
    Driver(&rm, load, &sequence).Run(seconds);
    rm.ForgetBelow(Gtid{GroupId(1), Term(1), sequence});
  }
  return 0;
}

}  // namespace
}  // namespace concordat::participant

int main(int argc, char** argv) {
  std::string folder = std::filesystem::temp_directory_path().string();
  double seconds = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seconds") == 0) seconds = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--folder") == 0) folder = argv[i + 1];
  }
  const concordat::testing::TempDir own(folder);
  return concordat::participant::Main(own.path(), seconds);
}
