// Resources and heuristic outcomes at the leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

ResourceRecord Bank(const std::string& name, const std::string& address = "here:1") {
  ResourceRecord resource;
  resource.name = name;
  resource.address = address;
  resource.kind = "kv";
  resource.incarnation = Incarnation(0x5f3c);
  resource.cluster = ClusterId(7);
  return resource;
}

CoreOptions InCluster7() {
  CoreOptions options;
  options.cluster = ClusterId(7);
  options.max_resources = 2;
  return options;
}

class RegistrarTest : public ::testing::Test {
 protected:
  RegistrarTest() { node.Lead(1); }
  Log log;
  Node node{&log, InCluster7()};
};

TEST_F(RegistrarTest, Registration_IsAnsweredOnceApplied) {
  const auto token = node.Submit(RegisterResourceRequest{Bank("bank-a")});
  EXPECT_EQ(node.Said(token), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  Node follower(&log);
  follower.CatchUp();
  EXPECT_EQ(follower.table().resources().at("bank-a"), Bank("bank-a"));
  EXPECT_FALSE(follower.core().Resources(follower.now())[0].last_seen);
}

TEST_F(RegistrarTest, Heartbeat_WritesNothing) {
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  node.CommitLog();
  node.Pass(Duration::Seconds(3));
  const auto beat = node.Submit(RegisterResourceRequest{Bank("bank-a")});
  EXPECT_EQ(node.Said(beat), "REGISTERED");
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.core().Resources(node.now())[0].last_seen, Duration::Seconds(1));
}

// Its COMMIT has been repeated with ever longer pauses meanwhile.
TEST_F(RegistrarTest, Scenario86_HeartbeatAfterASilence_WhatWaitsForItIsSentAtOnce) {
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  node.Submit(RegisterResourceRequest{Bank("bank-b")});
  node.CommitLog();
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  node.Ack(B(g));
  for (int i = 0; i < 20; ++i) {
    node.Pass(Duration::Seconds(1));
    node.Submit(RegisterResourceRequest{Bank("bank-b")});
  }
  const int sent = node.Sent(Verb::kCommit, A(g));
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  node.Pass(Duration::Millis(10));
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), sent + 1);
  // A heartbeat in time hurries nothing.
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  node.Pass(Duration::Millis(10));
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), sent + 1);
}

TEST_F(RegistrarTest, ChangedAddress_IsWritten) {
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  const auto moved = node.Submit(RegisterResourceRequest{Bank("bank-a", "there:2")});
  node.CommitLog(1);
  EXPECT_EQ(node.Said(moved), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(moved), "REGISTERED");
  EXPECT_EQ(node.table().resources().at("bank-a").address, "there:2");
}

TEST_F(RegistrarTest, ForeignCluster_IsRefused) {
  ResourceRecord foreign = Bank("bank-a");
  foreign.cluster = ClusterId(8);
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{foreign})),
              StartsWith("REFUSED foreign-cluster"));
}

ResourceRecord BankIn(const std::string& store) {
  ResourceRecord resource = Bank("bank-a");
  resource.store = store;
  return resource;
}

// What was prepared in the first one would not be found in the second, and its COMMIT
// would be taken for done.
TEST_F(RegistrarTest, AnotherStoreOfTheSameName_IsRefused) {
  node.Submit(RegisterResourceRequest{BankIn("1")});
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{BankIn("2")})),
              StartsWith("REFUSED other-store"));
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{BankIn("")})),
              StartsWith("REFUSED other-store"));
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{BankIn("1")})), "REGISTERED");
}

TEST_F(RegistrarTest, TwoStoresAtOnce_TheFirstInTheLogHasTheName) {
  const auto first = node.Submit(RegisterResourceRequest{BankIn("1")});
  const auto second = node.Submit(RegisterResourceRequest{BankIn("2")});
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "REGISTERED");
  EXPECT_THAT(node.Said(second), StartsWith("REFUSED other-store"));
  EXPECT_EQ(node.table().resources().at("bank-a").store, "1");
}

TEST_F(RegistrarTest, PersonWhoReplacesTheStore_IsObeyed) {
  node.Submit(RegisterResourceRequest{BankIn("1")});
  node.CommitLog();
  ResourceRecord replacing = BankIn("2");
  replacing.replace_store = true;
  const auto token = node.Submit(RegisterResourceRequest{replacing});
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  EXPECT_EQ(node.table().resources().at("bank-a"), BankIn("2"));
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{BankIn("2")})), "REGISTERED");
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{BankIn("1")})),
              StartsWith("REFUSED other-store"));
}

// 2026-11-20T10:01:05.000Z, and half an hour later.
constexpr uint64_t kBackup = 1'795'168'865'000;
constexpr uint64_t kSeen = 1'795'170'675'250;

ResourceRecord BankAt(uint64_t generation) {
  ResourceRecord resource = BankIn("1");
  resource.generation = generation;
  return resource;
}

TEST_F(RegistrarTest, GenerationThatGrows_IsWrittenAndOneThatDoesNotIsNot) {
  node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  node.CommitLog();
  node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  EXPECT_THAT(node.Appended(), IsEmpty());
  const auto grown = node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  EXPECT_EQ(node.Said(grown), "REGISTERED");
  EXPECT_EQ(node.table().resources().at("bank-a").generation, kSeen);
}

// Scenario 29. The store lacks what was promised between the two generations.
TEST_F(RegistrarTest, Scenario29_StoreFromABackup_IsRefusedAndToldWhatToDo) {
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  const auto token = node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  EXPECT_THAT(node.Appended(), IsEmpty());
  const std::string said = node.Said(token);
  EXPECT_THAT(said,
              StartsWith("REFUSED older-store: store 1 of resource bank-a holds its "
                         "data of 2026-11-20T10:01:05.000Z, but was seen at "
                         "2026-11-20T10:31:15.250Z: a backup was put back"));
  EXPECT_THAT(said, HasSubstr("--replace-store bank-a"));
  // One from before it kept generations is older than any.
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{BankAt(0)})),
              HasSubstr("of before it kept a generation"));
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{BankAt(kSeen)})), "REGISTERED");
}

TEST_F(RegistrarTest, Scenario29_RefusedRegistration_IsListedUntilOneIsAccepted) {
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  node.Submit(RegisterResourceRequest{BankIn("2")});
  node.Pass(Duration::Seconds(3));
  ResourceView view = node.core().Resources(node.now())[0];
  EXPECT_THAT(view.refused, HasSubstr("is kept in store 1, this is store 2"));
  EXPECT_EQ(view.refused_ago, Duration::Seconds(3));
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  EXPECT_EQ(node.core().Resources(node.now())[0].refused, "");
}

// A participant that has found out by itself: nothing changes but what is listed.
TEST_F(RegistrarTest, Scenario29_ParticipantThatQuarantinesItself_IsListedAndNotAlive) {
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  node.Pass(Duration::Seconds(3));
  const auto token =
      node.Submit(RegisterResourceRequest{BankAt(kSeen), "the database went back"});
  EXPECT_EQ(node.Said(token), "REFUSED quarantined: the database went back");
  EXPECT_THAT(node.Appended(), IsEmpty());
  const ResourceView view = node.core().Resources(node.now())[0];
  EXPECT_EQ(view.refused, "the database went back");
  EXPECT_EQ(view.last_seen, Duration::Seconds(3));
}

// Its participant is alive, its database is not: whoever looks sees why.
TEST_F(RegistrarTest, ResourceThatCannotBeUsedNow_IsRegisteredAndListedSo) {
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{
                BankAt(kSeen), "", "waiting for the database: connection refused"})),
            "");
  node.CommitLog();
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.core().Resources(node.now())[0].unavailable,
            "waiting for the database: connection refused");
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{BankAt(kSeen)})), "REGISTERED");
  EXPECT_EQ(node.core().Resources(node.now())[0].unavailable, "");
}

// Trial 23: a branch that waits for its database says what for.
TEST_F(RegistrarTest, BranchThatWaitsForAResourceThatCannotBeUsed_ShowsWhy) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  const auto details = [&] {
    std::vector<std::string> all;
    for (const auto& b : node.core().Show(g, node.now()).branches)
      all.push_back(b.detail);
    return all;
  };
  EXPECT_THAT(details(), ElementsAre("", ""));
  node.Submit(RegisterResourceRequest{BankAt(kSeen), "", "waiting for the database"});
  node.CommitLog();
  EXPECT_THAT(details(), ElementsAre("waiting for the database", ""));
  node.Ack(A(g), FinishState::kRetry, "the connection was lost");
  EXPECT_THAT(details(), ElementsAre("the connection was lost", ""));
  node.Ack(A(g));
  EXPECT_THAT(details(), ElementsAre("", ""));
}

TEST_F(RegistrarTest, Scenario29_PersonWhoAcceptsTheBackup_IsObeyed) {
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  ResourceRecord accepted = BankAt(kBackup);
  accepted.replace_store = true;
  const auto token = node.Submit(RegisterResourceRequest{accepted});
  node.CommitLog();
  EXPECT_EQ(node.Said(token), "REGISTERED");
  EXPECT_EQ(node.table().resources().at("bank-a"), BankAt(kBackup));
}

// The leader may have proposed both before it knew of either.
TEST_F(RegistrarTest, Scenario29_OvertakenByALaterGeneration_IsRefusedAtApply) {
  const auto later = node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  const auto older = node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  node.CommitLog();
  EXPECT_EQ(node.Said(later), "REGISTERED");
  EXPECT_THAT(node.Said(older), StartsWith("REFUSED older-store"));
  EXPECT_EQ(node.table().resources().at("bank-a").generation, kSeen);
  Node follower(&log, InCluster7());
  follower.CatchUp();
  EXPECT_EQ(follower.table().resources().at("bank-a").generation, kSeen);
}

TEST_F(RegistrarTest, Scenario29_GenerationSurvivesASnapshot) {
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  Core restored(kGroup, InCluster7());
  ASSERT_TRUE(
      Restore(&restored, SnapshotOf(&node.core()), node.table().last_applied()).ok());
  EXPECT_EQ(restored.table().resources().at("bank-a"), BankAt(kSeen));
}

TEST_F(RegistrarTest, GenerationBeyondAnyClock_IsRefused) {
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{BankAt(~uint64_t{0})})),
              StartsWith("REFUSED bad-request"));
}

TEST(Generation, AsText_IsAPointInTime) {
  EXPECT_EQ(GenerationText(1), "1970-01-01T00:00:00.001Z");
  EXPECT_EQ(GenerationText(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(GenerationText(1'709'251'199'999), "2024-02-29T23:59:59.999Z");
  EXPECT_EQ(GenerationText(1'709'251'200'000), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(GenerationText(kMaxGeneration), "9999-12-31T23:59:59.999Z");
}

// What comes every few seconds is no event, and does not hurry what waits for it.
TEST_F(RegistrarTest, GrownGeneration_IsNoNews) {
  const Gtid g = node.NewGtid();
  node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  node.Commit(g, {A(g), B(g)}, CommitMode::kDecided, 600'000);
  node.CommitLog();
  node.Pass(Duration::Seconds(100));
  // Heard of again after a silence: that does hurry it.
  node.Submit(RegisterResourceRequest{BankAt(kBackup)});
  node.Pass(Duration::Micros(1));
  const int asked = node.Sent(Verb::kPrepare, A(g));
  node.Submit(RegisterResourceRequest{BankAt(kSeen)});
  node.CommitLog();
  node.Pass(Duration::Micros(1));
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), asked);
}

TEST_F(RegistrarTest, NonsenseAndTooMany_AreRefused) {
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{Bank("No Name")})),
              StartsWith("REFUSED bad-request"));
  EXPECT_THAT(node.Said(node.Submit(
                  RegisterResourceRequest{Bank("bank-a", std::string(5000, 'x'))})),
              StartsWith("REFUSED bad-request"));
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  node.Submit(RegisterResourceRequest{Bank("bank-b")});
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Submit(RegisterResourceRequest{Bank("bank-c")})),
              StartsWith("REFUSED overloaded"));
  EXPECT_EQ(node.Said(node.Submit(RegisterResourceRequest{Bank("bank-b")})),
            "REGISTERED");
}

TEST_F(RegistrarTest, ResourceThatComesBack_IsAskedAtOnce) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)}, CommitMode::kDecided, 600'000);
  node.CommitLog();
  node.Pass(Duration::Seconds(100));
  const int a = node.Sent(Verb::kPrepare, A(g));
  const int b = node.Sent(Verb::kPrepare, B(g));
  node.Submit(RegisterResourceRequest{Bank("bank-a", "there:2")});
  node.CommitLog();
  node.Pass(Duration::Micros(1));
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), a + 1);
  EXPECT_EQ(node.Sent(Verb::kPrepare, B(g)), b);
}

TEST_F(RegistrarTest, ForgettingAHeuristic_IsAReplicatedRecord) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  node.CommitLog();
  node.Ack(A(g), FinishState::kHeuristicMixed);
  node.CommitLog();
  const auto forget = node.Submit(ForgetHeuristicRequest{A(g), "ann"});
  EXPECT_THAT(node.Appended(),
              ElementsAre("HEURISTIC 1.1.1/bank-a/5f3c.1 forgotten detail='by ann'"));
  EXPECT_EQ(node.Said(forget), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(forget), "HEURISTIC_FORGOTTEN");
  EXPECT_THAT(node.core().Heuristics(), IsEmpty());
  EXPECT_EQ(node.Said(node.Submit(ForgetHeuristicRequest{A(g), "ann"})), "NO_HEURISTIC");
}

TEST_F(RegistrarTest, Scenario85_NamesComeAndGo_AndTheirPlacesAreFreeAgain) {
  for (int i = 0; i < 10; ++i) {  // with two places

    const std::string name = absl::StrCat("bank-", i);
    const auto added = node.Submit(RegisterResourceRequest{Bank(name, "here:1")});
    node.CommitLog();
    ASSERT_EQ(node.Said(added), "REGISTERED");
    node.Pass(Duration::Seconds(6));
    const auto retired = node.Submit(RetireResourceRequest{name, "ann"});
    EXPECT_EQ(node.Said(retired), "");  // not before it is in the log
    node.CommitLog();
    EXPECT_EQ(node.Said(retired), "RETIRED");
  }
  EXPECT_THAT(node.table().resources(), IsEmpty());
  EXPECT_EQ(node.Said(node.Submit(RetireResourceRequest{"bank-0", "ann"})),
            "NO_SUCH_RESOURCE");
}

TEST_F(RegistrarTest, Scenario85_ServedOrNeededResource_IsNotRetired) {
  node.Submit(RegisterResourceRequest{Bank("bank-a", "here:1")});
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Submit(RetireResourceRequest{"bank-a", "ann"})),
              HasSubstr("end its participant"));
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  node.CommitLog();
  node.Pass(Duration::Seconds(6));
  EXPECT_THAT(node.Said(node.Submit(RetireResourceRequest{"bank-a", "ann"})),
              AllOf(HasSubstr("REFUSED in-use"), HasSubstr(ToString(g))));
  node.Ack(A(g));
  node.Pass(Duration::Millis(200));
  node.CommitLog();
  const auto retired = node.Submit(RetireResourceRequest{"bank-a", "ann"});
  node.CommitLog();
  EXPECT_EQ(node.Said(retired), "RETIRED");
}

// Their records may reach the log under the next leader. When this node leads again and
// the same is asked for anew, those who have been answered are not answered once more.
TEST_F(RegistrarTest, LeadershipLost_WhatWasAskedForIsNotKnown) {
  node.Submit(RegisterResourceRequest{Bank("bank-a")});
  const Gtid g = node.NewGtid();
  node.RunToHeuristic(g, A(g));
  node.Pass(Duration::Seconds(6));
  node.CommitLog();
  const std::vector<Request> requests = {RegisterResourceRequest{Bank("bank-b")},
                                         ForgetHeuristicRequest{A(g), "ann"},
                                         RetireResourceRequest{"bank-a", "ann"}};
  std::vector<RequestToken> asked;
  for (const Request& request : requests) asked.push_back(node.Submit(request));
  for (const RequestToken token : asked) EXPECT_EQ(node.Said(token), "");
  node.Lose();
  for (const RequestToken token : asked) EXPECT_EQ(node.Said(token), "UNDECIDED");

  node.Lead(2);
  node.Pass(Duration::Seconds(6));
  std::vector<RequestToken> anew;
  for (const Request& request : requests) anew.push_back(node.Submit(request));
  node.CommitLog();
  EXPECT_EQ(node.Said(anew[0]), "REGISTERED");
  EXPECT_EQ(node.Said(anew[2]), "RETIRED");
  EXPECT_FALSE(node.table().heuristics().contains(A(g)));
  for (const RequestToken token : asked) EXPECT_EQ(node.Said(token), "UNDECIDED");
}

// The leader looked before a commit request came, and the log has the request first.
TEST_F(RegistrarTest, Scenario85_TransactionThatComesFirstInTheLog_KeepsTheName) {
  node.Submit(RegisterResourceRequest{Bank("bank-a", "here:1")});
  node.CommitLog();
  node.Pass(Duration::Seconds(6));
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  const auto retired = node.Submit(RetireResourceRequest{"bank-a", "ann"});
  node.CommitLog();
  EXPECT_THAT(node.Said(retired), HasSubstr("REFUSED in-use"));
  EXPECT_EQ(node.table().resources().count("bank-a"), 1u);
}

}  // namespace
}  // namespace concordat::txn
