#include "coordinator/base/copy_on_write.h"

#include <gtest/gtest.h>

#include <string>

namespace concordat {
namespace {

TEST(CopyOnWrite, WhatASnapshotHas_IsCopiedBeforeItIsChanged) {
  uint64_t snapshots = 0;
  CopyOnWrite<std::string> text("one", snapshots);
  ++snapshots;
  const auto seen = text.Share();
  text.Write(snapshots) = "two";
  EXPECT_EQ(*seen, "one");
  EXPECT_EQ(*text, "two");
}

TEST(CopyOnWrite, BetweenTwoSnapshots_IsCopiedOnce) {
  uint64_t snapshots = 0;
  CopyOnWrite<std::string> text("one", snapshots);
  const std::string* first = &*text;
  EXPECT_EQ(&text.Write(snapshots), first) << "nobody else has it";
  ++snapshots;
  const std::string* second = &text.Write(snapshots);
  EXPECT_EQ(&text.Write(snapshots), second);
}

// The snapshot need not have looked at it yet.
TEST(CopyOnWrite, MadeAfterASnapshot_IsItsOwn) {
  CopyOnWrite<std::string> text("one", 7);
  const std::string* first = &*text;
  EXPECT_EQ(&text.Write(7), first);
}

}  // namespace
}  // namespace concordat
