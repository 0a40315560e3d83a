#include "coordinator/base/lifetime.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

namespace concordat {
namespace {

TEST(LifetimeTest, IfAlive_OwnerExists_CallsWithTheArguments) {
  Lifetime lifetime;
  std::string got;
  std::function<void(const std::string&, int)> callback = lifetime.IfAlive(
      [&got](const std::string& text, int n) { got = text + std::to_string(n); });
  callback("a", 1);
  EXPECT_EQ(got, "a1");
}

TEST(LifetimeTest, IfAlive_OwnerIsGone_DoesNothing) {
  std::optional<Lifetime> lifetime(std::in_place);
  int calls = 0;
  std::function<void()> callback = lifetime->IfAlive([&calls] { ++calls; });
  callback();
  lifetime.reset();
  callback();
  EXPECT_EQ(calls, 1);
}

TEST(LifetimeTest, IfAlive_CallbackThatCanOnlyBeMoved_GetsAnArgumentThatCanOnlyBeMoved) {
  Lifetime lifetime;
  int got = 0;
  auto callback =
      lifetime.IfAlive([&got, two = std::make_unique<int>(2)](
                           std::unique_ptr<int> three) { got = *two * *three; });
  callback(std::make_unique<int>(3));
  EXPECT_EQ(got, 6);
}

TEST(LifetimeTest, IfAlive_CallbackEndsTheOwner_FinishesAndIsNotCalledAgain) {
  auto lifetime = std::make_unique<Lifetime>();
  int calls = 0;
  std::function<void()> callback = lifetime->IfAlive([&] {
    lifetime.reset();
    ++calls;
  });
  callback();
  callback();
  EXPECT_EQ(calls, 1);
}

TEST(LifetimeTest, Watch_EndedInTheDestructorsBody_SaysSoBeforeTheMembersEnd) {
  Lifetime lifetime;
  const Lifetime::Watch watch = lifetime.watch();
  EXPECT_TRUE(watch.alive());
  lifetime.End();
  EXPECT_FALSE(watch.alive());
}

// A writer's thread may give its callback back after the loop has destroyed the owner.
TEST(LifetimeTest, Watch_DroppedByAnotherThreadAfterTheEnd_IsAllowed) {
  auto lifetime = std::make_unique<Lifetime>();
  int calls = 0;
  std::function<void()> callback = lifetime->IfAlive([&calls] { ++calls; });
  std::thread other([callback = std::move(callback)]() mutable {
    const std::function<void()> copy = callback;
    callback = nullptr;
  });
  lifetime.reset();
  other.join();
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace concordat
