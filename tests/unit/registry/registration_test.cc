// Registrations and heartbeats at the leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/registry/harness.h"

namespace concordat::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Options InCluster7() {
  Options options;
  options.cluster = ClusterId(7);
  options.max_resources = 2;
  return options;
}

class RegistrationTest : public ::testing::Test {
 protected:
  RegistrationTest() { node.Lead(1); }
  Log log;
  Node node{&log, InCluster7()};
};

TEST_F(RegistrationTest, Registration_IsAnsweredOnceApplied) {
  const auto token = node.Register(Bank("bank-a"));
  EXPECT_EQ(node.Said(token), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  Node follower(&log);
  follower.CatchUp();
  EXPECT_EQ(follower.resources().at("bank-a"), Bank("bank-a"));
  EXPECT_FALSE(follower.View("bank-a").last_seen);
}

TEST_F(RegistrationTest, Heartbeat_WritesNothing) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Seconds(3));
  const auto beat = node.Register(Bank("bank-a"));
  EXPECT_EQ(node.Said(beat), "REGISTERED");
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.View("bank-a").last_seen, Duration::Seconds(1));
}

TEST_F(RegistrationTest, ChangedAddress_IsWritten) {
  node.Register(Bank("bank-a"));
  const auto moved = node.Register(Bank("bank-a", "there:2"));
  node.CommitLog(1);
  EXPECT_EQ(node.Said(moved), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(moved), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a").address, "there:2");
}

TEST_F(RegistrationTest, ForeignCluster_IsRefused) {
  ResourceRecord foreign = Bank("bank-a");
  foreign.cluster = ClusterId(8);
  EXPECT_THAT(node.Said(node.Register(foreign)), StartsWith("REFUSED foreign-cluster"));
}

// The second store does not have what was prepared in the first, so that a COMMIT for it
// would seem to be done already.
TEST_F(RegistrationTest, AnotherStoreOfTheSameName_IsRefused) {
  node.Register(BankIn("1"));
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Register(BankIn("2"))), StartsWith("REFUSED other-store"));
  EXPECT_THAT(node.Said(node.Register(BankIn(""))), StartsWith("REFUSED other-store"));
  EXPECT_EQ(node.Said(node.Register(BankIn("1"))), "REGISTERED");
}

TEST_F(RegistrationTest, TwoStoresAtOnce_TheFirstInTheLogHasTheName) {
  const auto first = node.Register(BankIn("1"));
  const auto second = node.Register(BankIn("2"));
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "REGISTERED");
  EXPECT_THAT(node.Said(second), StartsWith("REFUSED other-store"));
  EXPECT_EQ(node.resources().at("bank-a").store, "1");
}

TEST_F(RegistrationTest, PersonWhoReplacesTheStore_IsObeyed) {
  node.Register(BankIn("1"));
  node.CommitLog();
  ResourceRecord replacing = BankIn("2");
  replacing.replace_store = true;
  const auto token = node.Register(replacing);
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a"), BankIn("2"));
  EXPECT_EQ(node.Said(node.Register(BankIn("2"))), "REGISTERED");
  EXPECT_THAT(node.Said(node.Register(BankIn("1"))), StartsWith("REFUSED other-store"));
}

TEST_F(RegistrationTest, GenerationThatGrows_IsWrittenAndOneThatDoesNotIsNot) {
  node.Register(BankAt(kBackup));
  node.CommitLog();
  node.Register(BankAt(kBackup));
  EXPECT_THAT(node.Appended(), IsEmpty());
  const auto grown = node.Register(BankAt(kSeen));
  node.CommitLog();
  EXPECT_EQ(node.Said(grown), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a").generation, kSeen);
}

// The store lacks what was promised between the two generations.
TEST_F(RegistrationTest, Scenario29_StoreFromABackup_IsRefusedAndToldWhatToDo) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  const auto token = node.Register(BankAt(kBackup));
  EXPECT_THAT(node.Appended(), IsEmpty());
  const std::string said = node.Said(token);
  EXPECT_THAT(said,
              StartsWith("REFUSED older-store: store 1 of resource bank-a holds its "
                         "data of 2026-11-20T10:01:05.000Z, but was seen at "
                         "2026-11-20T10:31:15.250Z: a backup was put back"));
  EXPECT_THAT(said, HasSubstr("--replace-store bank-a"));
  // A copy from the time before the store had generations is older than any.
  EXPECT_THAT(node.Said(node.Register(BankAt(0))),
              HasSubstr("of before it kept a generation"));
  EXPECT_EQ(node.Said(node.Register(BankAt(kSeen))), "REGISTERED");
}

TEST_F(RegistrationTest, Scenario29_RefusedRegistration_IsListedUntilOneIsAccepted) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  node.Register(BankAt(kBackup));
  node.Register(BankIn("2"));
  node.Pass(Duration::Seconds(3));
  ResourceView view = node.View("bank-a");
  EXPECT_THAT(view.refused, HasSubstr("is kept in store 1, this is store 2"));
  EXPECT_EQ(view.refused_ago, Duration::Seconds(3));
  node.Register(BankAt(kSeen));
  EXPECT_EQ(node.View("bank-a").refused, "");
}

// The participant has found out by itself. Only what operators see changes.
TEST_F(RegistrationTest,
       Scenario29_ParticipantThatQuarantinesItself_IsListedAndNotAlive) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  node.Pass(Duration::Seconds(3));
  const auto token = node.Register(BankAt(kSeen), "the database went back");
  EXPECT_EQ(node.Said(token), "REFUSED quarantined: the database went back");
  EXPECT_THAT(node.Appended(), IsEmpty());
  const ResourceView view = node.View("bank-a");
  EXPECT_EQ(view.refused, "the database went back");
  EXPECT_EQ(view.last_seen, Duration::Seconds(3));
}

// The participant is alive but its database is not. Operators see the reason.
TEST_F(RegistrationTest, ResourceThatCannotBeUsedNow_IsRegisteredAndListedSo) {
  EXPECT_EQ(node.Said(node.Register(BankAt(kSeen), "",
                                    "waiting for the database: connection refused")),
            "");
  node.CommitLog();
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.View("bank-a").unavailable,
            "waiting for the database: connection refused");
  EXPECT_EQ(node.Said(node.Register(BankAt(kSeen))), "REGISTERED");
  EXPECT_EQ(node.View("bank-a").unavailable, "");
}

TEST_F(RegistrationTest, Scenario29_PersonWhoAcceptsTheBackup_IsObeyed) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  ResourceRecord accepted = BankAt(kBackup);
  accepted.replace_store = true;
  const auto token = node.Register(accepted);
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a"), BankAt(kBackup));
}

// The leader may propose both before either is applied.
TEST_F(RegistrationTest, Scenario29_OvertakenByALaterGeneration_IsRefusedAtApply) {
  const auto later = node.Register(BankAt(kSeen));
  const auto older = node.Register(BankAt(kBackup));
  node.CommitLog();
  EXPECT_EQ(node.Said(later), "REGISTERED");
  EXPECT_THAT(node.Said(older), StartsWith("REFUSED older-store"));
  EXPECT_EQ(node.resources().at("bank-a").generation, kSeen);
  Node follower(&log, InCluster7());
  follower.CatchUp();
  EXPECT_EQ(follower.resources().at("bank-a").generation, kSeen);
}

TEST_F(RegistrationTest, Scenario29_GenerationSurvivesASnapshot) {
  node.Register(BankAt(kSeen));
  node.CommitLog();
  Node restored(&log, InCluster7());
  ASSERT_TRUE(Restore(&restored.registry(), SnapshotOf(&node.registry()),
                      node.registry().table().last_applied())
                  .ok());
  EXPECT_EQ(restored.resources().at("bank-a"), BankAt(kSeen));
}

TEST_F(RegistrationTest, GenerationBeyondAnyClock_IsRefused) {
  EXPECT_THAT(node.Said(node.Register(BankAt(~uint64_t{0}))),
              StartsWith("REFUSED bad-request"));
}

TEST_F(RegistrationTest, NonsenseAndTooMany_AreRefused) {
  EXPECT_THAT(node.Said(node.Register(Bank("No Name"))),
              StartsWith("REFUSED bad-request"));
  EXPECT_THAT(node.Said(node.Register(Bank("bank-a", std::string(5000, 'x')))),
              StartsWith("REFUSED bad-request"));
  node.Register(Bank("bank-a"));
  node.Register(Bank("bank-b"));
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Register(Bank("bank-c"))), StartsWith("REFUSED overloaded"));
  EXPECT_EQ(node.Said(node.Register(Bank("bank-b"))), "REGISTERED");
}

// Messages that wait for a resource are sent when it comes back, at this address or
// another, and not with each heartbeat.
TEST_F(RegistrationTest, Scenario86_ReachableAgain_IsToldToThoseWhoWait) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  EXPECT_THAT(node.users.reachable, ElementsAre("bank-a"));
  for (int i = 0; i < 20; ++i) {
    node.Pass(Duration::Seconds(1));
    node.Register(Bank("bank-a"));
  }
  EXPECT_THAT(node.users.reachable, ElementsAre("bank-a")) << "it was there all the time";
  node.Pass(Duration::Seconds(3));
  node.Register(Bank("bank-a"));
  EXPECT_THAT(node.users.reachable, ElementsAre("bank-a", "bank-a"));
  node.Register(Bank("bank-a", "there:2"));
  node.CommitLog();
  EXPECT_THAT(node.users.reachable, ElementsAre("bank-a", "bank-a", "bank-a"));
}

// A new generation comes every few seconds, for ever, and a refused registration is
// repeated every second.
TEST_F(RegistrationTest, GrownGenerationAndRepeatedRefusal_AreNoNews) {
  node.Register(BankAt(kBackup));
  node.CommitLog();
  const size_t events = node.events().size();
  node.Register(BankAt(kSeen));
  node.CommitLog();
  EXPECT_THAT(node.users.reachable, ElementsAre("bank-a"));
  EXPECT_EQ(node.events().size(), events);
  node.Register(BankAt(kBackup));
  node.Register(BankAt(kBackup));
  EXPECT_EQ(node.events().size(), events + 1);
  EXPECT_EQ(node.events().back().kind, EventKind::kRefused);
}

TEST_F(RegistrationTest, TextsThatAreTooLongAndNoIncarnation_AreRefused) {
  const std::string too_long(5000, 'x');
  std::vector<ResourceRecord> bad(3, Bank("bank-a"));
  bad[0].kind = too_long;
  bad[1].store = too_long;
  bad[2].incarnation = Incarnation();
  for (const ResourceRecord& resource : bad) {
    EXPECT_THAT(node.Said(node.Register(resource)), StartsWith("REFUSED bad-request"));
  }
  EXPECT_THAT(node.Appended(), IsEmpty());
}

// Anybody may send any name: nothing is kept of those that are not registered.
TEST_F(RegistrationTest, RefusedNameThatNobodyHas_IsNotKept) {
  ResourceRecord foreign = Bank("bank-a");
  foreign.cluster = ClusterId(8);
  node.Register(foreign);
  EXPECT_THAT(node.events(), IsEmpty());
  node.Register(Bank("bank-a"), "it is not served");
  EXPECT_THAT(node.events(), IsEmpty());
}

TEST_F(RegistrationTest, ResourceWithoutHeartbeats_IsShownSilent) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Millis(4999));
  EXPECT_FALSE(node.View("bank-a").silent);
  node.Pass(Duration::Millis(1));
  EXPECT_TRUE(node.View("bank-a").silent);
}

TEST_F(RegistrationTest, LongReasonWhyAResourceCannotBeUsed_IsCut) {
  node.Register(Bank("bank-a"), "", std::string(5000, 'x'));
  node.CommitLog();
  EXPECT_LT(node.View("bank-a").unavailable.size(), 5000u);
}

}  // namespace
}  // namespace concordat::registry
