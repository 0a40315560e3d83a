// A leader without room for new work (scenario 88), which must not use the log's reserve.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/registry/harness.h"

namespace concordat::registry {
namespace {

using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kFull = "REFUSED overloaded: the coordinator's disk is full";

class RegistryFullDiskTest : public ::testing::Test {
 protected:
  RegistryFullDiskTest() { node.Lead(1); }
  void SetFull(bool full) { node.registry().AdmitNewWork(!full); }

  Log log;
  Node node{&log};
};

TEST_F(RegistryFullDiskTest,
       Scenario88_RegistrationsAndGenerations_AreRefusedAndNotAppended) {
  node.Register(BankAt(5));
  node.CommitLog();
  SetFull(true);
  EXPECT_EQ(node.Said(node.Register(BankAt(5))), "REGISTERED") << "a heartbeat";
  EXPECT_THAT(node.Said(node.Register(BankAt(6))), StartsWith(kFull));
  EXPECT_THAT(node.Said(node.Register(Bank("bank-b"))), StartsWith(kFull));
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Seconds(1));
  node.Register(BankAt(7));
  EXPECT_EQ(node.View("bank-a").last_seen, Duration()) << "it lives all the same";
  SetFull(false);
  const auto healed = node.Register(BankAt(7));
  node.CommitLog();
  EXPECT_EQ(node.Said(healed), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a").generation, 7u);
}

TEST_F(RegistryFullDiskTest, Scenario88_WhatOperatorsChange_IsRefused) {
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Seconds(60));
  SetFull(true);
  EXPECT_THAT(node.Said(node.Retire("bank-a")), StartsWith(kFull));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST_F(RegistryFullDiskTest, Scenario88_ADayOnAFullDisk_AppendsNothing) {
  node.Register(BankAt(1));
  node.CommitLog();
  SetFull(true);
  for (uint64_t minute = 2; minute < 24 * 60; ++minute) {
    node.Pass(Duration::Seconds(60));
    node.Register(BankAt(minute));
  }
  EXPECT_THAT(node.Appended(), IsEmpty());
}

}  // namespace
}  // namespace concordat::registry
