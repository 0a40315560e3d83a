// A resource's name is given up, at the leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/registry/harness.h"

namespace concordat::registry {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Gtid kUser{GroupId(1), Term(1), 0x2a};

class RetireTest : public ::testing::Test {
 protected:
  RetireTest() { node.Lead(1); }
  static Options TwoPlaces() {
    Options options;
    options.max_resources = 2;
    return options;
  }

  Log log;
  Node node{&log, TwoPlaces()};
};

TEST_F(RetireTest, Scenario85_NamesComeAndGo_AndTheirPlacesAreFreeAgain) {
  for (int i = 0; i < 10; ++i) {  // with two places
    const std::string name = absl::StrCat("bank-", i);
    const auto added = node.Register(Bank(name));
    node.CommitLog();
    ASSERT_EQ(node.Said(added), "REGISTERED");
    node.Pass(Duration::Seconds(6));
    const auto retired = node.Retire(name);
    EXPECT_EQ(node.Said(retired), "");  // not before the record is applied
    node.CommitLog();
    EXPECT_EQ(node.Said(retired), "RETIRED");
  }
  EXPECT_THAT(node.resources(), IsEmpty());
  EXPECT_EQ(node.Said(node.Retire("bank-0")), "NO_SUCH_RESOURCE");
}

TEST_F(RetireTest, Scenario85_ServedOrNeededResource_IsNotRetired) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Retire("bank-a")), HasSubstr("end its participant"));
  node.Pass(Duration::Seconds(6));
  node.users.users["bank-a"] = kUser;
  EXPECT_THAT(node.Said(node.Retire("bank-a")),
              AllOf(HasSubstr("REFUSED in-use"), HasSubstr("1.1.2a")));
  node.users.users.clear();
  const auto retired = node.Retire("bank-a");
  node.CommitLog();
  EXPECT_EQ(node.Said(retired), "RETIRED");
}

// When the leader checked there was no transaction, but one comes earlier in the log.
TEST_F(RetireTest, Scenario85_TransactionThatComesFirstInTheLog_KeepsTheName) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Seconds(6));
  const auto retired = node.Retire("bank-a");
  node.users.users["bank-a"] = kUser;
  node.CommitLog();
  EXPECT_THAT(node.Said(retired), HasSubstr("REFUSED in-use"));
  EXPECT_EQ(node.resources().count("bank-a"), 1u);
  // A node that has the same transactions decides the same.
  Node follower(&log, TwoPlaces());
  follower.users.users = node.users.users;
  follower.CatchUp();
  EXPECT_EQ(follower.registry().table().Hash(), node.registry().table().Hash());
}

// What was heard of the old resource does not hold for the next one with that name.
TEST_F(RetireTest, NameThatComesBack_HasNoPast) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  node.Register(BankAt(kBackup));
  node.Pass(Duration::Seconds(6));
  node.Retire("bank-a");
  node.CommitLog();
  const size_t told = node.users.reachable.size();
  const auto added = node.Register(BankAt(kBackup));
  EXPECT_EQ(node.users.reachable.size(), told) << "it was not silent: it is new";
  node.CommitLog();
  EXPECT_EQ(node.Said(added), "REGISTERED");
  EXPECT_EQ(node.View("bank-a").refused, "");
  EXPECT_EQ(node.View("bank-a").last_seen, Duration());
}

TEST_F(RetireTest, LongNameOfWhoRetires_IsCut) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Seconds(6));
  const auto retired =
      node.Submit(RetireResourceRequest{"bank-a", std::string(5000, 'x')});
  node.CommitLog();
  EXPECT_EQ(node.Said(retired), "RETIRED");
}

}  // namespace
}  // namespace concordat::registry
