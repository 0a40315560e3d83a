// Limits of what a process writes and opens: messages of one kind, file descriptors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "thrift/rpc/descriptors.h"
#include "thrift/rpc/message_limiter.h"

namespace concordat::rpc {
namespace {

using internal::MessageLimiter;
using ::testing::HasSubstr;

TEST(MessageLimiter, MoreOfOneKind_AreCountedAndSaidInTheNextWindow) {
  MessageLimiter limiter;
  const Timestamp begin = Timestamp::FromMicros(1'000'000);
  for (uint64_t i = 0; i < MessageLimiter::kMost; ++i) {
    EXPECT_EQ(limiter.Admit("closed", begin), 0U);
  }
  for (int i = 0; i < 37; ++i) EXPECT_EQ(limiter.Admit("closed", begin), std::nullopt);
  EXPECT_EQ(limiter.Admit("paused", begin), 0U) << "another kind";
  const Timestamp later = begin + MessageLimiter::kWindow;
  EXPECT_EQ(limiter.Admit("closed", later), 37U);
  EXPECT_EQ(limiter.Admit("closed", later), 0U);
}

TEST(Descriptors, SoftLimit_IsRaisedToTheHardOne) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(256, before.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(RaiseDescriptorLimit(), before.rlim_max);
  rlimit after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(Descriptors, Scenario81_WhatOthersNeed_IsNotForConnections) {
  const auto plan = PlanDescriptors(128, 72, 16384);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->connections, 56U);
  EXPECT_EQ(PlanDescriptors(1 << 20, 72, 16384)->connections, 16384U);
}

TEST(Descriptors, TooFewForAServer_SaysHowManyAreNeeded) {
  const auto plan = PlanDescriptors(80, 72, 16384);
  EXPECT_TRUE(absl::IsResourceExhausted(plan.status()));
  EXPECT_THAT(std::string(plan.status().message()),
              HasSubstr("may open 80 files, and needs at least 88"));
}

}  // namespace
}  // namespace concordat::rpc
