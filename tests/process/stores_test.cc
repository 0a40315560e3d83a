// A participant that comes back with another store under the same name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

using ::testing::HasSubstr;

class Stores : public ::testing::Test {
 protected:
  // A transfer is decided COMMIT. The KV bank has prepared, and dies before it learns the
  // decision.
  void LeaveTheKvBankPrepared() {
    const auto client = cluster_.NewClient();
    auto transaction = client->Begin();
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(Cluster::Transfer(&*transaction, "alice", "bob", 5).ok());
    Proxy& kv = cluster_.proxy("kv");
    kv.HoldReplies(true);
    auto result = std::async(std::launch::async, [&] { return transaction->Commit(); });
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return kv.HeldReplyBytes() > 0; }));
    kv.HoldRequests(true);
    kv.HoldReplies(false);
    EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
    cluster_.bank("kv").Kill();
    kv.Disconnect();
    kv.HoldRequests(false);
  }
  std::string Folder() const { return cluster_.dir() + "/bank-kv"; }
  int Concordat(const std::string& words, std::string* output) {
    return cluster_.CommandLine(words, output);
  }
  static std::string Text(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  Cluster cluster_;
};

TEST_F(Stores, AnEmptyFolder_IsRefusedAndTheRightOneFinishes) {
  LeaveTheKvBankPrepared();
  std::filesystem::rename(Folder(), Folder() + "-aside");
  cluster_.LaunchBank("kv", {});
  EXPECT_EQ(cluster_.bank("kv").WaitForExit(kPatience), 1);
  EXPECT_THAT(Text(cluster_.BankLog("kv")), HasSubstr("is kept in store"));
  std::filesystem::remove_all(Folder());
  std::filesystem::rename(Folder() + "-aside", Folder());
  cluster_.StartBank("kv");
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  EXPECT_EQ(cluster_.KvBalance("alice"), -5);
  EXPECT_EQ(cluster_.SqlBalance("bob"), 5);
}

// The debit is lost with its store. That is reported, and listed until an operator has
// dealt with it.
TEST_F(Stores, AStoreReplacedByWord_LeavesAHazardUntilItIsForgotten) {
  LeaveTheKvBankPrepared();
  std::filesystem::remove_all(Folder());
  cluster_.StartBank("kv", {"--replace-store", "kv"});
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  std::string said;
  EXPECT_EQ(Concordat("heuristic list", &said), 1);
  EXPECT_THAT(said, HasSubstr("hazard"));
  const size_t branch = said.find("\n") + 1;
  const std::string id = said.substr(branch, said.find(' ', branch) - branch);
  EXPECT_EQ(Concordat("heuristic forget nonsense --by ann", &said), 64) << said;
  EXPECT_EQ(Concordat("heuristic forget " + id + " --by ann", &said), 0) << said;
  EXPECT_EQ(Concordat("heuristic list", &said), 0) << said;
}

}  // namespace
}  // namespace concordat::testing
