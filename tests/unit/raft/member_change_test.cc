// What the members are after a change, and which changes make no sense.
#include "coordinator/raft/member_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace concordat::raft {
namespace {

using Kind = MemberChange::Kind;
using ::testing::HasSubstr;

Configuration Three() {
  return Configuration({NodeId(1), NodeId(2), NodeId(3)}, ClusterKey{7, 8});
}

MemberChange Of(Kind kind, uint64_t node) {
  MemberChange change;
  change.kind = kind;
  change.node = NodeId(node);
  return change;
}

Configuration After(const Configuration& before, Kind kind, uint64_t node) {
  return AfterChange(before, Of(kind, node)).value();
}

TEST(MemberChange, Add_IsALearner_SoNoQuorumDependsOnAMistypedAddress) {
  MemberChange change = Of(Kind::kAdd, 4);
  change.peer_address = "wrong:1";
  const Configuration after = AfterChange(Three(), change).value();
  EXPECT_EQ(after.voters(), Three().voters());
  EXPECT_EQ(after.Find(NodeId(4))->role, MemberRole::kLearner);
  EXPECT_EQ(after.Find(NodeId(4))->peer_address, "wrong:1");
  EXPECT_EQ(after.cluster(), Three().cluster());
}

TEST(MemberChange, RemovedNode_IsNeverAddedAgain) {
  const Configuration removed = After(Three(), Kind::kRemove, 3);
  EXPECT_EQ(removed.Find(NodeId(3)), nullptr);
  const auto again = AfterChange(removed, Of(Kind::kAdd, 3));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("choose another id"));
}

TEST(MemberChange, Replace_IsALearnerWithoutTheLostLog) {
  std::vector<Member> members = Three().members();
  members[1].log = LogId(55);
  members[1].peer_address = "b:1";
  const Configuration after =
      After(Configuration(members, ClusterKey{7, 8}), Kind::kReplace, 2);
  const Member& member = *after.Find(NodeId(2));
  EXPECT_EQ(member.role, MemberRole::kLearner);
  EXPECT_TRUE(member.log.is_none());
  EXPECT_EQ(member.lost_log, LogId(55));
  EXPECT_EQ(member.peer_address, "b:1");
}

TEST(MemberChange, Replace_OfOneThatHadNotAnsweredYet_KeepsTheLogThatWasLostBefore) {
  std::vector<Member> members = Three().members();
  members[1].lost_log = LogId(55);
  const Configuration after = After(Configuration(members, {}), Kind::kReplace, 2);
  EXPECT_EQ(after.Find(NodeId(2))->lost_log, LogId(55));
}

TEST(MemberChange, Address_KeepsTheRole) {
  MemberChange change = Of(Kind::kSetAddress, 2);
  change.peer_address = "new:1";
  const Configuration after = AfterChange(Three(), change).value();
  EXPECT_EQ(after.Find(NodeId(2))->role, MemberRole::kVoter);
  EXPECT_EQ(after.Find(NodeId(2))->peer_address, "new:1");
  EXPECT_EQ(AfterChange(after, change).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Quorums before and after a change must have a node in common.
TEST(MemberChange, EveryChange_AddsOrRemovesAtMostOneVoter) {
  const Configuration with_learner = After(Three(), Kind::kAdd, 4);
  for (const Kind kind : {Kind::kAdd, Kind::kPromote, Kind::kDemote, Kind::kRemove,
                          Kind::kReplace, Kind::kSetAddress, Kind::kSetLog}) {
    for (uint64_t node = 1; node <= 5; ++node) {
      MemberChange change = Of(kind, node);
      change.peer_address = "x:1";
      const auto after = AfterChange(with_learner, change);
      if (!after.ok()) continue;
      const auto& a = with_learner.voters();
      const auto& b = after->voters();
      std::vector<NodeId> changed;
      std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                    std::back_inserter(changed));
      EXPECT_LE(changed.size(), 1u) << MemberChangeName(kind) << " " << node;
    }
  }
}

TEST(MemberChange, WithoutSense_IsRefused) {
  const Configuration one({NodeId(1)}, ClusterKey{7, 8});
  EXPECT_TRUE(
      absl::IsFailedPrecondition(AfterChange(one, Of(Kind::kRemove, 1)).status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(AfterChange(one, Of(Kind::kDemote, 1)).status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(AfterChange(one, Of(Kind::kPromote, 1)).status()));
  EXPECT_TRUE(absl::IsNotFound(AfterChange(one, Of(Kind::kRemove, 2)).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(AfterChange(one, Of(Kind::kAdd, 1)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AfterChange(one, Of(Kind::kAdd, 0)).status()));
  MemberChange longer = Of(Kind::kAdd, 2);
  longer.client_address = std::string(kMaxAddressBytes + 1, 'a');
  EXPECT_TRUE(absl::IsInvalidArgument(AfterChange(one, longer).status()));
  const Configuration learner = After(one, Kind::kAdd, 2);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(AfterChange(learner, Of(Kind::kDemote, 2)).status()));
}

TEST(MemberChange, MoreMembersThanTheLimit_AreRefused) {
  Configuration members({NodeId(1)});
  for (uint64_t node = 2; node <= kMaxMembers; ++node) {
    members = After(members, Kind::kAdd, node);
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(
      AfterChange(members, Of(Kind::kAdd, kMaxMembers + 1)).status()));
  EXPECT_TRUE(DecodeConfiguration(EncodeConfiguration(members)).has_value());
}

}  // namespace
}  // namespace concordat::raft
