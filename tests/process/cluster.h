// A cluster of real processes for tests: three concordatd (or another number), two
// concordat-rm (a KV bank and a SQLite bank), each behind a proxy that the test controls.
#ifndef TESTS_PROCESS_CLUSTER_H_
#define TESTS_PROCESS_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "concordat_wire/coordinator_types.h"
#include "coordinator/client/client.h"
#include "coordinator/client/link.h"
#include "tests/process/proxy.h"
#include "tests/support/processes.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::testing {

// How many seconds a test waits for what must come. A machine whose disk or processors
// are busy with something else may stand still for 10 s and more.
inline constexpr double kPatience = 60;

struct ClusterOptions {
  int nodes = 3;
  // How long a bank waits before it asks for the outcome of a branch in doubt. If this is
  // long, branches are ended by what the leader sends.
  int in_doubt_inquiry_ms = 1000;
  int segment_bytes = 4 << 20;  // of the nodes' logs
  // Each node's data directory is on a disk of its own of so many MiB, which is removed
  // when the node has ended (SmallDisk). 0: it is an ordinary folder.
  int node_disk_mib = 0;
  // How many files a node may open (RLIMIT_NOFILE, soft and hard). 0: as many as this
  // process.
  int node_files = 0;
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();

  void StartNode(int id);
  // Starts another node, which waits to be added; returns its id.
  int StartJoiner();
  // Its folder is gone, and it starts again: with the same flags, or to join.
  void LoseFolder(int id);
  [[nodiscard]] std::string NodeDir(int id) const;
  [[nodiscard]] Child& node(int id) { return *nodes_.at(id); }
  // Waits for a leader that is ready, and returns its id.
  [[nodiscard]] int Leader();
  // Kills the leader and returns its id.
  int KillLeader();

  // The banks are "kv" and "sql". Waits until the bank serves.
  void StartBank(const std::string& bank,
                 const std::vector<std::string>& more_flags = {});
  // Starts the bank, and does not wait until it serves.
  void LaunchBank(const std::string& bank, const std::vector<std::string>& more_flags);
  [[nodiscard]] std::string BankLog(const std::string& bank) const;
  [[nodiscard]] Child& bank(const std::string& bank) { return *banks_.at(bank); }
  [[nodiscard]] Proxy& proxy(const std::string& bank) { return *proxies_.at(bank); }

  [[nodiscard]] std::unique_ptr<client::Client> NewClient();
  [[nodiscard]] client::ClientOptions Options() const;

  // Moves `amount` from kv's account `from` to sql's account `to`, without committing.
  static absl::Status Transfer(client::Transaction* transaction, const std::string& from,
                               const std::string& to, int64_t amount);
  [[nodiscard]] int64_t KvBalance(const std::string& account);
  [[nodiscard]] int64_t SqlBalance(const std::string& account);

  // Makes one call at a node, without retries.
  template <class Reply>
  Reply Ask(
      int node,
      std::function<void(client::CoordinatorLink*, std::function<void(const Reply&)>)>
          call);
  [[nodiscard]] wire::TransactionView Show(const Gtid& gtid);
  [[nodiscard]] wire::StatusReply Status(int node);
  // Runs the command line. Returns its exit status, and what it has printed.
  int CommandLine(const std::string& words, std::string* output);
  // Waits until no transaction is open at the leader.
  [[nodiscard]] bool WaitUntilSettled(double seconds = kPatience);

  [[nodiscard]] const std::string& dir() const { return dir_.path(); }
  [[nodiscard]] const std::vector<std::string>& client_addresses() const {
    return clients_;
  }
  [[nodiscard]] const std::vector<std::string>& peer_addresses() const { return peers_; }

 private:
  [[nodiscard]] std::string ResourceUrl(const std::string& bank) const;

  const ClusterOptions options_;
  TempDir dir_;
  std::vector<std::string> clients_;
  std::vector<std::string> peers_;
  std::string members_;
  std::set<int> joined_;  // started with --join
  std::map<int, std::unique_ptr<Child>> nodes_;
  std::map<std::string, uint16_t> bank_ports_;
  std::map<std::string, std::unique_ptr<Proxy>> proxies_;
  std::map<std::string, std::unique_ptr<Child>> banks_;
  std::unique_ptr<rpc::LoopThread> loop_;
  std::unique_ptr<client::ChannelLinkProvider> links_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace concordat::testing

#endif  // TESTS_PROCESS_CLUSTER_H_
