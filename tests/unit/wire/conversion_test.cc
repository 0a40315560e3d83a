// The words of the commit protocol are the same in the IDL, in code and in logs, and what
// is no id or no word is refused.
#include "thrift/wire/conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "concordat_wire/types_constants.h"

namespace concordat {
namespace {

using ::testing::HasSubstr;

// "READ_ONLY" is written "read-only".
std::string Written(const std::string& name) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

template <class Wire>
void ExpectSameWords(const std::map<int, const char*>& names) {
  ASSERT_FALSE(names.empty());
  for (const auto& [number, name] : names) {
    const auto word = FromWire(static_cast<Wire>(number));
    EXPECT_EQ(std::string(ToString(word)), Written(name));
    EXPECT_EQ(static_cast<int>(ToWire(word)), number) << name;
  }
}

TEST(Words, AreTheSameOnTheWireInCodeAndInLogs) {
  ExpectSameWords<wire::Outcome::type>(wire::_Outcome_VALUES_TO_NAMES);
  ExpectSameWords<wire::AbortCause::type>(wire::_AbortCause_VALUES_TO_NAMES);
  ExpectSameWords<wire::Vote::type>(wire::_Vote_VALUES_TO_NAMES);
  ExpectSameWords<wire::FinishState::type>(wire::_FinishState_VALUES_TO_NAMES);
  ExpectSameWords<wire::InquiryAnswer::type>(wire::_InquiryAnswer_VALUES_TO_NAMES);
  for (const auto& [number, name] : wire::_CommitMode_VALUES_TO_NAMES) {
    const auto mode = FromWire(static_cast<wire::CommitMode::type>(number));
    ASSERT_TRUE(mode.ok()) << mode.status();
    EXPECT_EQ(std::string(ToString(*mode)), Written(name));
    EXPECT_EQ(static_cast<int>(ToWire(*mode)), number);
  }
}

TEST(Words, OfANewerVersion_SayNothing) {
  for (const int number : {-1, 0, 100}) {
    EXPECT_EQ(FromWire(static_cast<wire::Outcome::type>(number)), Outcome::kUnknown);
    EXPECT_EQ(FromWire(static_cast<wire::AbortCause::type>(number)), AbortCause::kNone);
    EXPECT_EQ(FromWire(static_cast<wire::Vote::type>(number)), Vote::kUnavailable);
    EXPECT_EQ(FromWire(static_cast<wire::FinishState::type>(number)),
              FinishState::kRetry);
    EXPECT_EQ(FromWire(static_cast<wire::InquiryAnswer::type>(number)),
              InquiryAnswer::kWait);
    EXPECT_FALSE(FromWire(static_cast<wire::CommitMode::type>(number)).ok());
  }
}

const BranchId kBranch{Gtid{GroupId(1), Term(7), 42}, "bank-a",
                       Incarnation(std::numeric_limits<uint64_t>::max()), 9};

TEST(Ids, ComeBackAsTheyWere) {
  const auto branch = FromWire(ToWire(kBranch));
  ASSERT_TRUE(branch.ok()) << branch.status();
  EXPECT_EQ(*branch, kBranch);
  EXPECT_EQ(*FromWire(ToWire(kBranch.gtid)), kBranch.gtid);
  EXPECT_EQ(*FromWire(ToWire(std::vector<BranchId>{kBranch, kBranch})),
            (std::vector<BranchId>{kBranch, kBranch}));
}

TEST(Ids, ThatNobodyGivesOut_AreRefused) {
  const wire::Gtid good = ToWire(kBranch.gtid);
  for (const int number : {0, -1}) {
    wire::Gtid bad = good;
    bad.group = number;
    EXPECT_FALSE(FromWire(bad).ok());
    bad = good;
    bad.term = number;
    EXPECT_FALSE(FromWire(bad).ok());
    bad = good;
    bad.sequence = number;
    EXPECT_FALSE(FromWire(bad).ok());
    wire::BranchId branch = ToWire(kBranch);
    branch.gtid = bad;
    EXPECT_FALSE(FromWire(branch).ok());
    branch = ToWire(kBranch);
    branch.number = number;
    EXPECT_FALSE(FromWire(branch).ok());
  }
  wire::BranchId branch = ToWire(kBranch);
  branch.resource = "Bank A";
  EXPECT_THAT(std::string(FromWire(branch).status().message()),
              HasSubstr("'Bank A' is no resource name"));
  EXPECT_FALSE(FromWire(std::vector<wire::BranchId>{ToWire(kBranch), branch}).ok());
}

TEST(Words, ThatTheWireDoesNotHave_AreAProgrammersError) {
  EXPECT_DEATH((void)ToWire(Outcome::kUnknown), "");
  EXPECT_DEATH((void)ToWire(AbortCause::kNone), "");
}

TEST(Context, HasTheVersionAndTheClusterIfItIsKnown) {
  const wire::CallContext context = MakeContext(ClusterId(7));
  EXPECT_EQ(context.version, wire::g_types_constants.PROTOCOL_VERSION);
  EXPECT_TRUE(context.__isset.cluster);
  EXPECT_EQ(context.cluster, 7);
  EXPECT_FALSE(MakeContext().__isset.cluster);
}

TEST(Result, HasATextIfThereIsOne) {
  const wire::Result refused = wire::MakeResult(wire::Code::INVALID, "no such mode");
  EXPECT_EQ(refused.code, wire::Code::INVALID);
  EXPECT_EQ(refused.message, "no such mode");
  EXPECT_TRUE(refused.__isset.message);
  EXPECT_FALSE(wire::MakeResult(wire::Code::OK).__isset.message);
}

}  // namespace
}  // namespace concordat
