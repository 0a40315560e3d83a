// Where the nodes of a cluster are reached, from what is said about it.
#include "coordinator/node/address_book.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace concordat::node {
namespace {

using Clients = std::map<NodeId, std::string>;

const Timestamp kStart = Timestamp::FromMicros(1'000'000);

raft::Member Listed(uint64_t node) {
  raft::Member member;
  member.node = NodeId(node);
  member.peer_address = absl::StrCat("listed:", node);
  member.client_address = absl::StrCat("listed-client:", node);
  return member;
}

NodeAddresses Said(const std::string& name) { return {name + ":1", name + "-client:1"}; }

class AddressBookTest : public ::testing::Test {
 protected:
  AddressBookTest() : book_(NodeId(1), {{NodeId(1), Said("own")}}) {
    book_.SetMembers(raft::Configuration({Listed(1), Listed(2)}, {}));
  }
  AddressBook book_;
};

TEST_F(AddressBookTest, MembersAreReachedWhereTheListSays) {
  EXPECT_EQ(book_.peers(), (Clients{{NodeId(2), "listed:2"}}));
  EXPECT_EQ(book_.clients().at(NodeId(2)), "listed-client:2");
}

TEST_F(AddressBookTest, NodeThatHasMoved_IsBelieved_AndEntered) {
  book_.SetMembers(raft::Configuration({Listed(2)}, {}));
  EXPECT_TRUE(book_.Moved().empty());
  book_.Heard(NodeId(2), Said("moved"), kStart);
  EXPECT_EQ(book_.peers().at(NodeId(2)), "moved:1");
  EXPECT_EQ(book_.clients().at(NodeId(2)), "moved-client:1");
  ASSERT_EQ(book_.Moved().size(), 1u);
  EXPECT_EQ(book_.Moved()[0].kind, raft::MemberChange::Kind::kSetAddress);
  EXPECT_EQ(book_.Moved()[0].peer_address, "moved:1");
  raft::Member entered = Listed(2);
  entered.peer_address = "moved:1";
  entered.client_address = "moved-client:1";
  book_.SetMembers(raft::Configuration({entered}, {}));
  EXPECT_TRUE(book_.Moved().empty());
}

TEST_F(AddressBookTest, OwnAddressesThatDiffer_AreEnteredToo) {
  ASSERT_EQ(book_.Moved().size(), 1u);
  EXPECT_EQ(book_.Moved()[0].node, NodeId(1));
  EXPECT_EQ(book_.Moved()[0].client_address, "own-client:1");
}

// All have moved: nobody can say so to anybody.
TEST_F(AddressBookTest, SilentNode_IsTriedWhereThisNodeWasStartedToFindIt) {
  AddressBook book(NodeId(1), {{NodeId(2), Said("started")}});
  book.SetMembers(raft::Configuration({Listed(2)}, {}));
  book.TryOthers(kStart + Duration::Seconds(10));
  EXPECT_EQ(book.peers().at(NodeId(2)), "started:1");
  book.TryOthers(kStart + Duration::Seconds(20));
  EXPECT_EQ(book.peers().at(NodeId(2)), "listed:2");
}

TEST_F(AddressBookTest, NodeThatIsHeard_IsNotTriedElsewhere) {
  AddressBook book(NodeId(1), {{NodeId(2), Said("started")}});
  book.SetMembers(raft::Configuration({Listed(2)}, {}));
  book.Heard(NodeId(2), {}, kStart);
  book.TryOthers(kStart + Duration::Seconds(1));
  EXPECT_EQ(book.peers().at(NodeId(2)), "listed:2");
}

TEST_F(AddressBookTest, Stranger_IsAnswered_ButIsNoNodeForClients) {
  book_.Heard(NodeId(7), Said("stranger"), kStart);
  EXPECT_EQ(book_.peers().at(NodeId(7)), "stranger:1");
  EXPECT_FALSE(book_.clients().contains(NodeId(7)));
}

TEST_F(AddressBookTest, Strangers_AreLimited) {
  for (uint64_t node = 10; node < 1000; ++node) {
    book_.Heard(NodeId(node), Said("stranger"), kStart);
  }
  EXPECT_LT(book_.peers().size(), 32u);
}

TEST_F(AddressBookTest, RemovedNode_IsForgotten) {
  book_.Heard(NodeId(2), Said("moved"), kStart);
  book_.SetMembers(raft::Configuration({Listed(1)}, {}, {NodeId(2)}));
  EXPECT_TRUE(book_.peers().empty());
  EXPECT_FALSE(book_.clients().contains(NodeId(2)));
}

}  // namespace
}  // namespace concordat::node
