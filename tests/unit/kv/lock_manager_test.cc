#include "participant/resources/kv/lock_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"

namespace concordat::participant::kv {
namespace {

using ::testing::ElementsAre;

class Owner final : public LockOwner {
 public:
  Owner(uint64_t age, uint64_t transaction, uint64_t order)
      : LockOwner(Gtid{GroupId(1), Term(1), age}, Gtid{GroupId(1), Term(1), transaction},
                  order) {}
};

class LockManagerTest : public ::testing::Test {
 protected:
  // Smaller ages are older.
  LockOwner* Make(uint64_t age) { return Make(age, age); }
  LockOwner* Make(uint64_t age, uint64_t transaction) {
    owners_.push_back(std::make_unique<Owner>(age, transaction, ++order_));
    return owners_.back().get();
  }
  LockResult Read(LockOwner* owner, std::string_view key) {
    return locks_.Acquire(owner, LockMode::kShared, key);
  }
  LockResult Write(LockOwner* owner, std::string_view key) {
    return locks_.Acquire(owner, LockMode::kExclusive, key);
  }
  LockResult Scan(LockOwner* owner, std::string from, std::string to) {
    return locks_.AcquireRange(owner, {std::move(from), std::move(to)});
  }

  LockManager locks_;
  std::vector<std::unique_ptr<Owner>> owners_;
  uint64_t order_ = 0;
};

TEST_F(LockManagerTest, SharedLocks_AreHeldTogether) {
  LockOwner* a = Make(1);
  LockOwner* b = Make(2);
  EXPECT_EQ(Read(a, "k"), LockResult::kGranted);
  EXPECT_EQ(Read(b, "k"), LockResult::kGranted);
  EXPECT_EQ(Read(a, "k"), LockResult::kGranted);
}

TEST_F(LockManagerTest, YoungerOne_WaitsForTheOlder) {
  LockOwner* older = Make(1);
  LockOwner* younger = Make(2);
  EXPECT_EQ(Write(older, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(younger, "k"), LockResult::kWaits);
  locks_.Release(older);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(younger));
  EXPECT_FALSE(younger->waiting());
}

TEST_F(LockManagerTest, OlderOne_WoundsTheYounger) {
  LockOwner* older = Make(1);
  LockOwner* younger = Make(2);
  EXPECT_EQ(Write(younger, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(younger, "other"), LockResult::kGranted);
  EXPECT_EQ(Write(older, "k"), LockResult::kGranted);
  EXPECT_THAT(locks_.TakeWounded(), ElementsAre(younger));
  EXPECT_EQ(Write(older, "other"), LockResult::kGranted);
  EXPECT_EQ(locks_.size(), 2u);
}

TEST_F(LockManagerTest, PreparedOwner_IsNeverWounded) {
  LockOwner* older = Make(1);
  LockOwner* prepared = Make(2);
  EXPECT_EQ(Write(prepared, "k"), LockResult::kGranted);
  locks_.Harden(prepared);
  EXPECT_EQ(Write(older, "k"), LockResult::kWaits);
  EXPECT_TRUE(locks_.TakeWounded().empty());
  locks_.Release(prepared);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(older));
}

TEST_F(LockManagerTest, Harden_LetsGoOfSharedLocksAndRanges) {
  LockOwner* prepared = Make(1);
  LockOwner* other = Make(2);
  EXPECT_EQ(Read(prepared, "read"), LockResult::kGranted);
  EXPECT_EQ(Write(prepared, "written"), LockResult::kGranted);
  EXPECT_EQ(Scan(prepared, "s", "t"), LockResult::kGranted);
  locks_.Harden(prepared);
  EXPECT_EQ(Write(other, "read"), LockResult::kGranted);
  EXPECT_EQ(Write(other, "s1"), LockResult::kGranted);
  EXPECT_EQ(Write(other, "written"), LockResult::kWaits);
}

TEST_F(LockManagerTest, OlderWaiter_GoesBeforeAYoungerOneThatCameFirst) {
  LockOwner* prepared = Make(1);
  LockOwner* older = Make(2);
  LockOwner* younger = Make(3);
  EXPECT_EQ(Write(prepared, "k"), LockResult::kGranted);
  locks_.Harden(prepared);
  EXPECT_EQ(Write(younger, "k"), LockResult::kWaits);
  EXPECT_EQ(Write(older, "k"), LockResult::kWaits);
  locks_.Release(prepared);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(older));
  locks_.Release(older);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(younger));
}

TEST_F(LockManagerTest, YoungReader_DoesNotOvertakeAnOlderWriterThatWaits) {
  LockOwner* holder = Make(1);
  LockOwner* writer = Make(2);
  LockOwner* reader = Make(3);
  EXPECT_EQ(Read(holder, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "k"), LockResult::kWaits);
  EXPECT_EQ(Read(reader, "k"), LockResult::kWaits) << "or writers starve";
  locks_.Release(holder);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(writer));
  locks_.Release(writer);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(reader));
}

TEST_F(LockManagerTest, OldReader_OvertakesAYoungerWriterThatWaits) {
  // Otherwise the reader would wait for the writer, the writer for the holder, and the
  // holder for the reader.
  LockOwner* reader = Make(1);
  LockOwner* holder = Make(2);
  LockOwner* writer = Make(3);
  EXPECT_EQ(Write(reader, "other"), LockResult::kGranted);
  EXPECT_EQ(Read(holder, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "k"), LockResult::kWaits);
  EXPECT_EQ(Write(holder, "other"), LockResult::kWaits);
  EXPECT_EQ(Read(reader, "k"), LockResult::kGranted);
  locks_.Release(reader);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(holder));
}

TEST_F(LockManagerTest, WaiterThatGoes_LetsThoseBehindItPass) {
  LockOwner* holder = Make(1);
  LockOwner* writer = Make(2);
  LockOwner* reader = Make(3);
  EXPECT_EQ(Read(holder, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "k"), LockResult::kWaits);
  EXPECT_EQ(Read(reader, "k"), LockResult::kWaits);
  locks_.Release(writer);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(reader));
}

TEST_F(LockManagerTest, Raise_WaitsForOlderReadersAndWoundsYoungerOnes) {
  LockOwner* oldest = Make(1);
  LockOwner* middle = Make(2);
  LockOwner* youngest = Make(3);
  for (LockOwner* owner : {oldest, middle, youngest}) {
    EXPECT_EQ(Read(owner, "k"), LockResult::kGranted);
  }
  EXPECT_EQ(Write(middle, "k"), LockResult::kWaits);
  EXPECT_THAT(locks_.TakeWounded(), ElementsAre(youngest));
  locks_.Release(oldest);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(middle));
}

TEST_F(LockManagerTest, Range_KeepsNewKeysOut) {
  LockOwner* scanner = Make(1);
  LockOwner* writer = Make(2);
  EXPECT_EQ(Scan(scanner, "b", "d"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "d"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "a"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "c"), LockResult::kWaits);
  locks_.Release(scanner);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(writer));
}

TEST_F(LockManagerTest, Range_ToTheEnd) {
  LockOwner* scanner = Make(1);
  LockOwner* writer = Make(2);
  EXPECT_EQ(Scan(scanner, "m", ""), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "zzz"), LockResult::kWaits);
}

TEST_F(LockManagerTest, Range_WaitsForWritersInItAndReadsBesideReaders) {
  LockOwner* writer = Make(1);
  LockOwner* reader = Make(2);
  LockOwner* scanner = Make(3);
  EXPECT_EQ(Read(reader, "b"), LockResult::kGranted);
  EXPECT_EQ(Write(writer, "c"), LockResult::kGranted);
  EXPECT_EQ(Scan(scanner, "a", "z"), LockResult::kWaits);
  locks_.Release(writer);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(scanner));
}

TEST_F(LockManagerTest, Range_YoungWriterStandsBehindAnOlderScannerThatWaits) {
  LockOwner* holder = Make(1);
  LockOwner* scanner = Make(2);
  LockOwner* writer = Make(3);
  EXPECT_EQ(Write(holder, "c"), LockResult::kGranted);
  EXPECT_EQ(Scan(scanner, "a", "z"), LockResult::kWaits);
  EXPECT_EQ(Write(writer, "d"), LockResult::kWaits);
  locks_.Release(holder);
  EXPECT_THAT(locks_.TakeGranted(), ElementsAre(scanner));
}

TEST_F(LockManagerTest, Sibling_IsAConflictAtOnce) {
  LockOwner* a = Make(5, 100);
  LockOwner* b = Make(5, 100);
  EXPECT_EQ(Write(a, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(b, "k"), LockResult::kConflict);
  EXPECT_EQ(Write(b, "other"), LockResult::kGranted);
}

TEST_F(LockManagerTest, RestartedOwner_KeepsItsAge) {
  LockOwner* retried = Make(1, 50);  // transaction 50, as old as 1
  LockOwner* other = Make(2);
  EXPECT_EQ(Write(other, "k"), LockResult::kGranted);
  EXPECT_EQ(Write(retried, "k"), LockResult::kGranted);
  EXPECT_THAT(locks_.TakeWounded(), ElementsAre(other));
}

// --- random ---------------------------------------------------------------------------

// What one owner wants, and what it holds as far as it was told.
struct Actor {
  std::unique_ptr<Owner> owner;
  uint64_t age = 0;
  int steps = 0;
  bool hardened = false;
  std::map<std::string, LockMode> keys;
  std::vector<KeyRange> ranges;
  std::optional<std::pair<std::string, LockMode>> wants;
  std::optional<KeyRange> wants_range;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {}

  void Run(int rounds) {
    for (int i = 0; i < rounds && !::testing::Test::HasFailure(); ++i) {
      while (actors_.size() < 8) Add(++last_age_);
      Step();
      TakeNews();
      CheckHolders();
    }
    EXPECT_GT(wounded_, rounds / 50);
    EXPECT_GT(waited_, rounds / 50);
    EXPECT_GT(finished_, rounds / 50);
  }

 private:
  void Add(uint64_t age) {
    Actor actor;
    actor.age = age;
    ++last_transaction_;
    actor.owner = std::make_unique<Owner>(age, last_transaction_, last_transaction_);
    actors_.push_back(std::move(actor));
  }

  // Some actor that can do something does it. There must always be one.
  void Step() {
    std::vector<size_t> free;
    for (size_t i = 0; i < actors_.size(); ++i) {
      if (!actors_[i].owner->waiting()) free.push_back(i);
    }
    ASSERT_FALSE(free.empty()) << "deadlock";
    const size_t index = free[random_.Below(free.size())];
    Actor& actor = actors_[index];
    if (actor.hardened || (actor.steps >= 4 && random_.Percent(30))) return End(index);
    if (actor.steps >= 3 && random_.Percent(20)) return Harden(&actor);
    Ask(&actor);
  }

  void End(size_t index) {
    locks_.Release(actors_[index].owner.get());
    actors_.erase(actors_.begin() + static_cast<ptrdiff_t>(index));
    ++finished_;
  }

  void Harden(Actor* actor) {
    locks_.Harden(actor->owner.get());
    actor->hardened = true;
    actor->ranges.clear();
    std::erase_if(actor->keys,
                  [](const auto& held) { return held.second == LockMode::kShared; });
  }

  void Ask(Actor* actor) {
    ++actor->steps;
    LockResult result;
    if (random_.Percent(15)) {
      const char from = static_cast<char>('a' + random_.Below(6));
      actor->wants_range = KeyRange{std::string(1, from), std::string(1, from + 2)};
      result = locks_.AcquireRange(actor->owner.get(), *actor->wants_range);
    } else {
      actor->wants.emplace(
          std::string(1, static_cast<char>('a' + random_.Below(6))),
          random_.Percent(50) ? LockMode::kShared : LockMode::kExclusive);
      result =
          locks_.Acquire(actor->owner.get(), actor->wants->second, actor->wants->first);
    }
    ASSERT_NE(result, LockResult::kConflict);
    if (result == LockResult::kGranted) Granted(actor);
    if (result == LockResult::kWaits) ++waited_;
  }

  static void Granted(Actor* actor) {
    if (actor->wants) {
      LockMode& mode = actor->keys[actor->wants->first];
      mode = std::max(mode, actor->wants->second);
    }
    if (actor->wants_range) actor->ranges.push_back(*actor->wants_range);
    actor->wants.reset();
    actor->wants_range.reset();
  }

  Actor* Find(const LockOwner* owner) {
    for (Actor& actor : actors_) {
      if (actor.owner.get() == owner) return &actor;
    }
    return nullptr;
  }

  void TakeNews() {
    while (locks_.has_events()) {
      std::vector<LockOwner*> wounded = locks_.TakeWounded();
      for (LockOwner* owner : locks_.TakeGranted()) {
        if (!owner->wounded()) Granted(Find(owner));
      }
      for (LockOwner* owner : wounded) {
        Actor* actor = Find(owner);
        ASSERT_FALSE(actor->hardened) << "a prepared owner was wounded";
        ++wounded_;
        const uint64_t age = actor->age;
        locks_.Release(owner);
        actors_.erase(actors_.begin() + (actor - actors_.data()));
        Add(age);  // runs again, as old as before
      }
    }
  }

  void CheckHolders() {
    for (const Actor& a : actors_) {
      for (const Actor& b : actors_) {
        if (&a == &b) continue;
        for (const auto& [key, mode] : a.keys) {
          if (mode != LockMode::kExclusive) continue;
          EXPECT_FALSE(b.keys.contains(key)) << key;
          for (const KeyRange& range : b.ranges) EXPECT_FALSE(range.Contains(key)) << key;
        }
      }
    }
  }

  Random random_;
  LockManager locks_;
  std::vector<Actor> actors_;
  uint64_t last_age_ = 0;
  uint64_t last_transaction_ = 1000;
  int wounded_ = 0;
  int waited_ = 0;
  int finished_ = 0;
};

TEST(LockManagerRandomTest, NoDeadlockLives_AndLocksExclude) {
  for (uint64_t seed = 1; seed <= 200 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Simulation(seed).Run(2000);
  }
}

TEST(LockManagerRandomTest, OldestOne_AlwaysFinishes) {
  // Fairness: one old owner and a stream of young ones that keep the lock busy.
  LockManager locks;
  Owner holder(5, 5, 1);
  Owner old(6, 6, 2);
  ASSERT_EQ(locks.Acquire(&holder, LockMode::kShared, "k"), LockResult::kGranted);
  ASSERT_EQ(locks.Acquire(&old, LockMode::kExclusive, "k"), LockResult::kWaits);
  std::vector<std::unique_ptr<Owner>> stream;
  for (uint64_t i = 0; i < 100; ++i) {
    stream.push_back(std::make_unique<Owner>(100 + i, 100 + i, 10 + i));
    ASSERT_EQ(locks.Acquire(stream.back().get(), LockMode::kShared, "k"),
              LockResult::kWaits);
  }
  locks.Release(&holder);
  EXPECT_THAT(locks.TakeGranted(), ElementsAre(&old));
  locks.Release(&old);
  EXPECT_EQ(locks.TakeGranted().size(), 100u);
}

}  // namespace
}  // namespace concordat::participant::kv
