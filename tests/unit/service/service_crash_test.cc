// The power fails at every step of a workload: before and after each effect in the user's
// store, before each flush, after each answer; and again while the next instance
// recovers. Functions fail at random, before and after they have taken effect. Whatever
// was promised holds, nothing stays reserved, and the SDK keeps its contract: the model
// service records every call that it should not have got.
#include <map>
#include <set>

#include "coordinator/base/random.h"
#include "tests/unit/service/service_instance.h"

namespace concordat::participant::service {
namespace {

enum class Asked : uint8_t { kWork, kPrepare, kCommit, kRollback, kOnePhase };
// What a branch was asked, and what it has answered.
struct Fact {
  std::vector<uint64_t> reserved;  // numbers of tries that were answered OK
  Asked asked = Asked::kWork;
  bool voted = false;
  bool ended = false;  // acknowledged
};
using Facts = std::map<BranchId, Fact>;

// One moment: the disk, the store and what was known then.
struct Moment {
  std::unique_ptr<FaultEnv> disk;
  std::unique_ptr<ModelWorld> world;
  Facts facts;
};

// Records moments of an instance: all of them, or some.
class Camera {
 public:
  Camera(FaultEnv* env, ModelWorld* world, const Facts* facts, uint64_t one_in)
      : env_(env), world_(world), facts_(facts), one_in_(one_in) {
    env_->SetSyncHook([this] { Shoot(); });
    world_->on_step = [this] { Shoot(); };
  }
  ~Camera() {
    env_->SetSyncHook(nullptr);
    world_->on_step = nullptr;
  }
  // Called under the store's mutex, so that disk, store and facts are of one moment.
  void Shoot() {
    MutexLock lock(&world_->mutex);
    if (++count_ % one_in_ != 0) return;
    moments_.push_back({env_->Clone(count_), world_->AfterCrash(), *facts_});
  }
  std::vector<Moment> Take() {
    MutexLock lock(&world_->mutex);
    return std::exchange(moments_, {});
  }

 private:
  FaultEnv* const env_;
  ModelWorld* const world_;
  const Facts* const facts_;
  const uint64_t one_in_;
  uint64_t count_ = 0;
  std::vector<Moment> moments_;
};

class CrashTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  // Called under the world's mutex.
  std::function<bool()> Dice(uint64_t one_in) {
    auto dice = std::make_shared<Random>(random_.Below(UINT64_MAX));
    return [dice, one_in] { return dice->Below(one_in) == 0; };
  }

  // --- a workload ---

  static void Note(ModelWorld* world, const std::function<void()>& change) {
    MutexLock lock(&world->mutex);
    change();
  }
  static FinishState Repeat(const std::function<FinishState()>& call) {
    FinishState result = FinishState::kRetry;
    while ((result = call()) == FinishState::kRetry) {
    }
    return result;
  }

  void Work(ServiceInstance* instance, ModelWorld* world, const BranchId& id,
            Fact* fact) {
    const int tries = 1 + static_cast<int>(random_.Below(3));
    for (int i = 1; i <= tries; ++i) {
      // Some seats are sold or held already.
      const std::string seat = std::to_string(random_.Below(40));
      const auto reply = instance->Execute(id, "book " + seat, i);
      if (reply.result.code == wire::Code::CONFLICT) return;
      if (reply.result.code != wire::Code::OK) continue;
      Note(world, [&] { fact->reserved.push_back(static_cast<uint64_t>(i)); });
    }
  }
  void End(ServiceInstance* instance, ModelWorld* world, const BranchId& id, Fact* fact) {
    const uint64_t way = random_.Below(6);
    if (way == 0) return;  // left active
    if (way == 1) {
      Note(world, [&] { fact->asked = Asked::kOnePhase; });
      const OnePhase outcome = instance->CommitOnePhase(id);
      const bool known = outcome == OnePhase::kCommitted;
      Note(world, [&] { fact->ended = known; });
      return;
    }
    if (way == 2) return Finally(instance, world, id, fact, false);
    Note(world, [&] { fact->asked = Asked::kPrepare; });
    const Vote vote = instance->Prepare(id);
    if (vote != Vote::kPrepared) return;
    Note(world, [&] { fact->voted = true; });
    if (way == 3) return;  // left in doubt
    Finally(instance, world, id, fact, way != 4);
  }
  void Finally(ServiceInstance* instance, ModelWorld* world, const BranchId& id,
               Fact* fact, bool commit) {
    Note(world, [&] { fact->asked = commit ? Asked::kCommit : Asked::kRollback; });
    const FinishState done =
        Repeat([&] { return commit ? instance->Commit(id) : instance->Rollback(id); });
    EXPECT_EQ(done, FinishState::kDone) << ToString(id);
    Note(world, [&] { fact->ended = true; });
  }
  void Workload(ServiceInstance* instance, ModelWorld* world, Facts* facts) {
    for (uint64_t i = 1; i <= 14; ++i) {
      const BranchId id = instance->Start(i);
      Fact* fact = nullptr;
      Note(world, [&] { fact = &(*facts)[id]; });
      Work(instance, world, id, fact);
      End(instance, world, id, fact);
      if (i % 5 == 0) {
        ASSERT_TRUE(instance->rm().Checkpoint().ok());
      }
    }
  }

  // --- after a crash ---

  static bool Committed(Evidence evidence) {
    return evidence == Evidence::kCommitted || evidence == Evidence::kCommittedAlone;
  }
  static void CheckPromise(const BranchId& id, const Fact& fact, bool listed,
                           Evidence evidence) {
    SCOPED_TRACE(ToString(id));
    switch (fact.asked) {
      case Asked::kWork:
        EXPECT_FALSE(listed);
        EXPECT_FALSE(Committed(evidence));
        break;
      case Asked::kPrepare:
        EXPECT_FALSE(Committed(evidence));
        if (fact.voted) {
          EXPECT_TRUE(listed);
        }
        break;
      case Asked::kCommit:
        EXPECT_NE(listed, evidence == Evidence::kCommitted);
        if (fact.ended) {
          EXPECT_FALSE(listed);
        }
        break;
      case Asked::kRollback:
        EXPECT_FALSE(Committed(evidence));
        if (!fact.voted) {
          EXPECT_FALSE(listed);
        }
        break;
      case Asked::kOnePhase:
        EXPECT_FALSE(listed);
        if (fact.ended && !fact.reserved.empty()) {
          EXPECT_EQ(evidence, Evidence::kCommittedAlone);
        }
        break;
    }
  }
  static void CheckSeats(const ModelStore& store, const BranchId& id, const Fact& fact,
                         bool committed) {
    SCOPED_TRACE(ToString(id) + (committed ? " committed" : " not committed"));
    const std::string prefix = ToString(id) + "/";
    for (const auto& [key, row] : store.rows) {
      if (key.rfind(prefix, 0) != 0) continue;
      const uint64_t number = std::stoull(key.substr(prefix.size()));
      const bool held = std::find(fact.reserved.begin(), fact.reserved.end(), number) !=
                        fact.reserved.end();
      EXPECT_EQ(row.state, committed && held ? State::kConfirmed : State::kCancelled)
          << key;
    }
    if (!committed) return;
    for (const uint64_t number : fact.reserved) {
      EXPECT_TRUE(store.rows.contains(prefix + std::to_string(number))) << number;
    }
  }

  // The next instance; with `depth`, it is killed as well.
  void Survive(Moment moment, int depth) {
    const auto unsynced = static_cast<FaultEnv::Unsynced>(random_.Below(3));
    moment.disk->Crash(unsynced);
    moment.world->fails = Dice(8);
    std::vector<Moment> more;
    {
      Facts facts = moment.facts;
      Camera camera(moment.disk.get(), moment.world.get(), &facts,
                    depth > 0 ? 5 : UINT64_MAX);
      ServiceInstance instance(moment.disk.get(), moment.world.get());
      const auto recovered = instance.Recover();
      ASSERT_TRUE(recovered.ok()) << recovered.status();
      const std::set<BranchId> listed(recovered->begin(), recovered->end());
      for (const auto& [id, fact] : moment.facts) {
        CheckPromise(id, fact, listed.contains(id), instance.LookUp(id));
      }
      Resolve(&instance, moment.world.get(), listed, &facts);
      CheckEnd(&instance, moment.world.get(), facts);
      more = camera.Take();
    }
    for (const std::string& violation : moment.world->Violations()) {
      ADD_FAILURE() << violation;
    }
    for (Moment& next : more) {
      if (!HasFailure()) Survive(std::move(next), depth - 1);
    }
  }
  void Resolve(ServiceInstance* instance, ModelWorld* world,
               const std::set<BranchId>& listed, Facts* facts) {
    for (const BranchId& id : listed) {
      Fact* fact = &facts->at(id);
      bool commit = fact->asked == Asked::kCommit;
      // The vote is in the log, whether it was answered or not.
      if (fact->asked == Asked::kPrepare) commit = fact->voted && random_.Below(2) == 0;
      Note(world, [&] { fact->voted = true; });
      Finally(instance, world, id, fact, commit);
    }
  }
  void CheckEnd(ServiceInstance* instance, ModelWorld* world, const Facts& facts) {
    ASSERT_TRUE(instance->WaitUntilSettled());
    EXPECT_EQ(instance->rm().stats().branches, 0U);
    EXPECT_EQ(instance->rm().stats().contradictions, 0U);
    const ModelStore store = world->Store();
    EXPECT_EQ(store.Count(State::kTried), 0U) << "held for ever";
    for (const auto& [id, fact] : facts) {
      CheckSeats(store, id, fact, Committed(instance->LookUp(id)));
    }
  }

  Random random_{GetParam()};
};

TEST_P(CrashTest, PowerOffAtEveryStep_KeepsPromisesAndTheContract) {
  FaultEnv env(GetParam());
  ModelWorld world;
  world.fails = Dice(10);
  Facts facts;
  std::vector<Moment> moments;
  {
    Camera camera(&env, &world, &facts, 1);
    ServiceInstance instance(&env, &world);
    ASSERT_TRUE(instance.Recover().ok());
    Workload(&instance, &world, &facts);
    camera.Shoot();
    moments = camera.Take();
  }
  for (const std::string& violation : world.Violations()) ADD_FAILURE() << violation;
  EXPECT_GT(moments.size(), 60U);
  for (size_t i = 0; i < moments.size() && !HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + ", moment " + std::to_string(i));
    Survive(std::move(moments[i]), i % 4 == 0 ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CrashTest, ::testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace concordat::participant::service
