// Scenarios 37, 38, 39 and 43, on the log alone: a crash at any step of a workload keeps
// everything that was promised, and produces nothing that was not appended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "tests/unit/wal/log_fixture.h"

namespace concordat::wal {
namespace {

// Distinguishes what may be in the log from what must be.
class Model {
 public:
  // Returns a payload that no other record of the whole test has.
  std::string NewPayload(Random* random, size_t longest) {
    std::string payload = absl::StrCat("#", ++made_, ":");
    payload.resize(payload.size() + random->Below(longest), static_cast<char>(made_));
    return payload;
  }
  void Appended(Lsn lsn, const std::string& payload) { appended_[lsn] = payload; }
  void Promised(Lsn durable) { promised_ = std::max(promised_, durable); }
  void Released(Lsn lsn) { released_ = std::max(released_, lsn); }

  // Called after a restart. What was found, and had been appended, is promised from now
  // on: its owner has acted on it.
  void Check(const Opened& opened) {
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    const Lsn next = opened.log->next_lsn();
    ASSERT_GE(next, promised_.Next());
    Lsn expected = opened.entries.empty() ? next : opened.entries.front().lsn;
    ASSERT_LE(expected, std::max(released_, Lsn(1)));
    for (const Entry& entry : opened.entries) {
      ASSERT_EQ(entry.lsn, expected);
      auto it = appended_.find(entry.lsn);
      ASSERT_NE(it, appended_.end()) << "phantom record " << entry.lsn;
      ASSERT_EQ(it->second, entry.payload) << "record " << entry.lsn;
      expected = expected.Next();
    }
    ASSERT_EQ(expected, next);
    ASSERT_EQ(opened.log->durable_lsn(), next.Previous());
    appended_.erase(appended_.lower_bound(next), appended_.end());
    promised_ = next.Previous();
  }

  [[nodiscard]] Lsn promised() const { return promised_; }
  [[nodiscard]] Lsn released() const { return released_; }

 private:
  uint64_t made_ = 0;
  std::map<Lsn, std::string> appended_;
  Lsn promised_;
  Lsn released_;
};

// A fixed workload with groups, changes of segment and releases. It throws when the power
// fails.
void FixedWorkload(FaultEnv* env, Model* model, int steps) {
  auto opened = OpenLog(env);
  if (!opened.status.ok()) throw PowerCuts::Off("open");
  Random random(99);
  Log* log = opened.log.get();
  for (int i = 0; i < steps; ++i) {
    const std::string payload = model->NewPayload(&random, i % 10 == 9 ? 5000 : 900);
    // An append may flush, and be interrupted there, so it counts as appended before.
    model->Appended(log->next_lsn(), payload);
    MustAppend(log, payload);
    model->Promised(log->durable_lsn());
    if (i % 3 == 2) log->Sync();
    model->Promised(log->durable_lsn());
    if (i % 11 == 10 && log->durable_lsn() > Lsn(12)) {
      const Lsn lsn(log->durable_lsn().value() - 10);
      model->Released(lsn);
      log->ReleaseBefore(lsn);
    }
  }
}

// Runs the workload until the power fails after `operations`. False: it ended before.
bool CutAt(FaultEnv* env, Model* model, uint64_t operations) {
  env->PowerOffAfter(operations);
  try {
    FixedWorkload(env, model, 60);
  } catch (const PowerCuts::Off&) {
    return true;
  }
  return false;
}

void CrashEverywhere(FaultEnv::Unsynced unsynced, uint64_t seeds) {
  PowerCuts cuts;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    bool cut = true;
    for (uint64_t at = 0; cut; ++at) {
      FaultEnv env(seed * 1000 + at);
      Model model;
      cut = CutAt(&env, &model, at);
      env.Crash(unsynced);
      ASSERT_NO_FATAL_FAILURE(model.Check(OpenLog(&env))) << seed << " " << at;
      // The log also goes on from there.
      ASSERT_FALSE(CutAt(&env, &model, UINT64_MAX / 2)) << seed << " " << at;
      env.Crash(FaultEnv::Unsynced::kDropAll);
      ASSERT_NO_FATAL_FAILURE(model.Check(OpenLog(&env))) << seed << " " << at;
    }
  }
}

TEST(LogCrash, AtEveryOperation_UnsyncedDropped_KeepsAllPromised) {
  CrashEverywhere(FaultEnv::Unsynced::kDropAll, 1);
}

TEST(LogCrash, AtEveryOperation_UnsyncedKept_KeepsAllPromised) {
  CrashEverywhere(FaultEnv::Unsynced::kKeepAll, 1);
}

TEST(LogCrash, AtEveryOperation_UnsyncedTorn_KeepsAllPromised) {
  CrashEverywhere(FaultEnv::Unsynced::kRandom, 10);
}

TEST(LogCrash, DuringEveryStepOfRecovery_KeepsAllPromised) {
  PowerCuts cuts;
  for (uint64_t at = 5; at < 90; at += 7) {
    for (uint64_t again = 0; again < 14; ++again) {
      FaultEnv env(at * 100 + again);
      Model model;
      if (!CutAt(&env, &model, at)) break;
      env.Crash();
      env.PowerOffAfter(again);
      try {
        Opened opened = OpenLog(&env);
        if (opened.status.ok()) model.Check(opened);
      } catch (const PowerCuts::Off&) {
      }
      env.Crash();
      ASSERT_NO_FATAL_FAILURE(model.Check(OpenLog(&env))) << at << " " << again;
    }
  }
}

// Counts what the random runs met, over all seeds: a path that is never taken proves
// nothing.
struct Met {
  uint64_t cut_records = 0;
  uint64_t kept_unpromised = 0;
  uint64_t cut_in_open = 0;
  uint64_t refused = 0;
  uint64_t releases = 0;
  uint64_t segments = 0;
};

class RandomRun {
 public:
  RandomRun(uint64_t seed, Met* met) : random_(seed), env_(random_.Next()), met_(met) {
    options_ = SmallLog();
    options_.segment_bytes = 4096 * (2 + random_.Below(6));
    options_.recycle_segments = random_.Below(4);
  }

  void Run() {
    for (int life = 0; life < 8; ++life) {
      if (random_.Percent(70)) env_.PowerOffAfter(random_.Below(120));
      Lsn next;
      try {
        Live(&next);
      } catch (const PowerCuts::Off&) {
      }
      env_.Crash();
      if (random_.Percent(30)) env_.SetCapacity(UINT64_MAX);
      Opened opened = OpenLog(&env_, options_);
      if (absl::IsResourceExhausted(opened.status) && model_.promised().is_none()) {
        env_.SetCapacity(UINT64_MAX);
        opened = OpenLog(&env_, options_);
      }
      ASSERT_TRUE(opened.status.ok()) << opened.status;
      if (opened.log->next_lsn() < next) ++met_->cut_records;
      if (opened.log->durable_lsn() > model_.promised()) ++met_->kept_unpromised;
      ASSERT_NO_FATAL_FAILURE(model_.Check(opened));
    }
  }

 private:
  void Live(Lsn* next) {
    Opened opened = OpenLog(&env_, options_);
    if (!opened.status.ok()) {
      ++met_->cut_in_open;
      return;
    }
    ASSERT_NO_FATAL_FAILURE(model_.Check(opened));
    for (int i = 0; i < 60; ++i) {
      *next = opened.log->next_lsn();
      Step(opened.log.get());
    }
  }

  void Step(Log* log) {
    const uint64_t draw = random_.Below(100);
    if (draw < 60) {
      const size_t longest =
          random_.Percent(10) ? log->max_payload() - 30 : 1 + random_.Below(1500);
      const std::string payload = model_.NewPayload(&random_, longest);
      const Lsn lsn = log->next_lsn();
      model_.Appended(lsn, payload);
      auto got = log->Append(1, payload,
                             random_.Percent(50) ? Reserve::kNormal : Reserve::kFinish);
      if (!got.ok()) {
        ASSERT_EQ(got.status().code(), absl::StatusCode::kResourceExhausted);
        ++met_->refused;
      }
    } else if (draw < 88) {
      log->Sync();
    } else if (draw < 96) {
      const uint64_t durable = log->durable_lsn().value();
      if (durable == 0) return;
      const Lsn lsn(1 + random_.Below(durable + 1));
      const Lsn before = log->first_lsn();
      model_.Released(lsn);
      log->ReleaseBefore(lsn);
      log->Sync();
      if (log->first_lsn() > before) ++met_->releases;
    } else {
      env_.SetCapacity(random_.Percent(50) ? UINT64_MAX
                                           : env_.used_bytes() + random_.Below(40000));
    }
    model_.Promised(log->durable_lsn());
  }

  Random random_;
  FaultEnv env_;
  Met* const met_;
  LogOptions options_;
  Model model_;
};

TEST(LogCrash, RandomLivesOfManySeeds_KeepAllPromisedAndBringNoPhantom) {
  PowerCuts cuts;
  Met met;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    ASSERT_NO_FATAL_FAILURE(RandomRun(seed, &met).Run()) << "seed " << seed;
  }
  EXPECT_GT(met.cut_records, 100u);
  EXPECT_GT(met.kept_unpromised, 100u);
  EXPECT_GT(met.cut_in_open, 100u);
  EXPECT_GT(met.refused, 100u);
  EXPECT_GT(met.releases, 100u);
}

}  // namespace
}  // namespace concordat::wal
