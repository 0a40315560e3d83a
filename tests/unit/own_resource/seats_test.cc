// What a resource manager promises (participant/sdk/resource_manager.h), tested one
// promise at a time; and the whole path, with a payment in another resource.
#include "tests/unit/own_resource/seats.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <utility>

#include "coordinator/base/fault_env.h"
#include "coordinator/client/operations.h"
#include "coordinator/embedded/embedded.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "tests/support/temp_dir.h"

namespace concordat::participant {
namespace {

using wire::Code;

// A callback, and the result that it will be called with.
template <class T>
std::pair<Callback<T>, std::future<T>> Later() {
  std::promise<T> promise;
  std::future<T> future = promise.get_future();
  return {[promise = std::move(promise)](T value) mutable {
            promise.set_value(std::move(value));
          },
          std::move(future)};
}

wal::LogOptions SmallLog() {
  wal::LogOptions log;
  log.dir = "/seats";
  log.segment_bytes = 64 << 10;
  log.reserve_bytes = 64 << 10;
  return log;
}

// A resource manager on a disk that can fail, and calls that wait for their answers.
class SeatsInstance {
 public:
  explicit SeatsInstance(FaultEnv* env) : seats_(env, SmallLog()) {}

  absl::StatusOr<std::vector<BranchId>> Recover(ClusterId cluster = ClusterId(7)) {
    auto [done, result] = Later<absl::StatusOr<std::vector<BranchId>>>();
    seats_.Recover(cluster, std::move(done));
    return result.get();
  }
  BranchId Start(uint64_t number) {
    const BranchId id = IdOf(number);
    EXPECT_TRUE(seats_.Start(id, {id.gtid, ""}).ok());
    return id;
  }
  static BranchId IdOf(uint64_t number) {
    return BranchId{Gtid{GroupId(1), Term(1), number}, "seats", Incarnation(5), number};
  }
  wire::ExecuteReply Execute(const BranchId& id, const std::string& text) {
    wire::ExecuteRequest request;
    request.__set_opaque(text);
    auto [done, result] = Later<wire::ExecuteReply>();
    seats_.Execute(id, request, std::move(done));
    return result.get();
  }
  std::string Show(uint64_t number, const std::string& seat) {
    const BranchId id = Start(number);
    const std::string shown = Execute(id, "show " + seat).opaque;
    EXPECT_EQ(Rollback(id), FinishState::kDone);
    return shown;
  }
  std::future<PrepareResult> BeginPrepare(const BranchId& id) {
    auto [done, result] = Later<PrepareResult>();
    seats_.End(id);
    seats_.Prepare(id, std::move(done));
    return std::move(result);
  }
  Vote Prepare(const BranchId& id) { return BeginPrepare(id).get().vote; }
  FinishState Commit(const BranchId& id) {
    auto [done, result] = Later<FinishResult>();
    seats_.Commit(id, std::move(done));
    return result.get().state;
  }
  OnePhase CommitOnePhase(const BranchId& id) {
    auto [done, result] = Later<OnePhaseResult>();
    seats_.End(id);
    seats_.CommitOnePhase(id, std::move(done));
    return result.get().outcome;
  }
  FinishState Rollback(const BranchId& id) {
    auto [done, result] = Later<FinishResult>();
    seats_.Rollback(id, std::move(done));
    return result.get().state;
  }
  Evidence LookUp(const BranchId& id) {
    auto [done, result] = Later<Evidence>();
    seats_.LookUp(id, std::move(done));
    return result.get();
  }
  Seats& seats() { return seats_; }

 private:
  Seats seats_;
};

class SeatsTest : public ::testing::Test {
 protected:
  SeatsTest() { EXPECT_TRUE(instance_.Recover().ok()); }

  // The disk as the loss of power would leave it now, without anything that was not
  // flushed.
  std::unique_ptr<FaultEnv> DiskAfterPowerLoss() {
    auto disk = env_.Clone(2);
    disk->Crash(FaultEnv::Unsynced::kDropAll);
    return disk;
  }
  BranchId Booked(uint64_t number, const std::string& seat) {
    const BranchId id = instance_.Start(number);
    EXPECT_EQ(instance_.Execute(id, "book " + seat).result.code, Code::OK);
    return id;
  }

  FaultEnv env_{1};
  SeatsInstance instance_{&env_};
};

// --- the vote ---

TEST_F(SeatsTest, Vote_WaitsForItsFlush) {
  const BranchId id = Booked(1, "12A");
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  env_.SetSyncHook([gate] { gate.wait(); });
  std::future<PrepareResult> vote = instance_.BeginPrepare(id);
  EXPECT_EQ(vote.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  go.set_value();
  EXPECT_EQ(vote.get().vote, Vote::kPrepared);
}

TEST_F(SeatsTest, PreparedBranch_SurvivesThePowerWithItsLocks) {
  const BranchId id = Booked(1, "12A");
  ASSERT_EQ(instance_.Prepare(id), Vote::kPrepared);
  const auto disk = DiskAfterPowerLoss();
  SeatsInstance again(disk.get());
  const auto in_doubt = again.Recover();
  ASSERT_TRUE(in_doubt.ok()) << in_doubt.status();
  EXPECT_EQ(*in_doubt, std::vector<BranchId>{id});
  EXPECT_EQ(again.LookUp(id), Evidence::kPrepared);
  const BranchId other = again.Start(2);
  EXPECT_EQ(again.Execute(other, "book 12A").result.code, Code::CONFLICT);
  EXPECT_EQ(again.Commit(id), FinishState::kDone);
  EXPECT_EQ(again.Show(3, "12A"), "sold");
}

TEST_F(SeatsTest, ActiveBranch_IsGoneAfterARestart) {
  const BranchId id = Booked(1, "12A");
  const auto disk = DiskAfterPowerLoss();
  SeatsInstance again(disk.get());
  const auto in_doubt = again.Recover();
  ASSERT_TRUE(in_doubt.ok()) << in_doubt.status();
  EXPECT_TRUE(in_doubt->empty());
  EXPECT_EQ(again.LookUp(id), Evidence::kNone);
  EXPECT_EQ(again.Show(2, "12A"), "free");
}

TEST_F(SeatsTest, BranchThatOnlyLooked_VotesReadOnlyWithoutAFlush) {
  const BranchId id = instance_.Start(1);
  EXPECT_EQ(instance_.Execute(id, "show 12A").opaque, "free");
  const uint64_t syncs = env_.sync_count();
  EXPECT_EQ(instance_.Prepare(id), Vote::kReadOnly);
  EXPECT_EQ(env_.sync_count(), syncs);
  EXPECT_EQ(instance_.LookUp(id), Evidence::kNone);
}

// --- commit, and its evidence ---

TEST_F(SeatsTest, Commit_IsDurableWithItsEvidence) {
  const BranchId two = Booked(1, "1A");
  ASSERT_EQ(instance_.Prepare(two), Vote::kPrepared);
  EXPECT_EQ(instance_.Commit(two), FinishState::kDone);
  const BranchId one = Booked(2, "1B");
  EXPECT_EQ(instance_.CommitOnePhase(one), OnePhase::kCommitted);
  const BranchId none = Booked(3, "1C");
  ASSERT_EQ(instance_.Prepare(none), Vote::kPrepared);
  EXPECT_EQ(instance_.Rollback(none), FinishState::kDone);
  const auto disk = DiskAfterPowerLoss();
  SeatsInstance again(disk.get());
  const auto in_doubt = again.Recover();
  ASSERT_TRUE(in_doubt.ok()) << in_doubt.status();
  EXPECT_TRUE(in_doubt->empty());
  for (SeatsInstance* instance : {&instance_, &again}) {
    EXPECT_EQ(instance->LookUp(two), Evidence::kCommitted);
    EXPECT_EQ(instance->LookUp(one), Evidence::kCommittedAlone);
    EXPECT_EQ(instance->LookUp(none), Evidence::kNone);
    EXPECT_EQ(instance->Show(10, "1A"), "sold");
    EXPECT_EQ(instance->Show(11, "1B"), "sold");
    EXPECT_EQ(instance->Show(12, "1C"), "free");
  }
}

TEST_F(SeatsTest, Evidence_IsKeptUntilTheWatermarkPasses) {
  const BranchId old = Booked(1, "1A");
  EXPECT_EQ(instance_.CommitOnePhase(old), OnePhase::kCommitted);
  const BranchId young = Booked(2, "1B");
  EXPECT_EQ(instance_.CommitOnePhase(young), OnePhase::kCommitted);
  instance_.seats().ForgetBelow(Gtid{GroupId(2), Term(9), 9});
  EXPECT_EQ(instance_.LookUp(old), Evidence::kCommittedAlone)
      << "another group's watermark";
  instance_.seats().ForgetBelow(young.gtid);
  EXPECT_EQ(instance_.LookUp(old), Evidence::kNone);
  EXPECT_EQ(instance_.LookUp(young), Evidence::kCommittedAlone);
}

// --- work ---

TEST_F(SeatsTest, Seat_IsHeldByOneBranch) {
  const BranchId first = Booked(1, "12A");
  EXPECT_EQ(instance_.Execute(first, "book 12A").result.code, Code::OK);
  const BranchId second = Booked(2, "12B");
  EXPECT_EQ(instance_.Execute(second, "book 12A").result.code, Code::CONFLICT);
  EXPECT_EQ(instance_.Show(3, "12B"), "free") << "CONFLICT rolls back";
  EXPECT_EQ(instance_.Rollback(second), FinishState::kDone)
      << "which may cross a rollback";
  EXPECT_EQ(instance_.Show(4, "12A"), "held");
  EXPECT_EQ(instance_.Rollback(first), FinishState::kDone);
  EXPECT_EQ(instance_.Show(5, "12A"), "free");
}

TEST_F(SeatsTest, SoldSeat_IsAConditionThatFailsAndTheBranchLives) {
  EXPECT_EQ(instance_.CommitOnePhase(Booked(1, "12A")), OnePhase::kCommitted);
  const BranchId id = Booked(2, "12B");
  EXPECT_EQ(instance_.Execute(id, "book 12A").result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(instance_.Execute(id, "eat 12A").result.code, Code::INVALID);
  EXPECT_EQ(instance_.CommitOnePhase(id), OnePhase::kCommitted);
  EXPECT_EQ(instance_.Show(3, "12B"), "sold");
}

// --- the disk ---

TEST_F(SeatsTest, FullDisk_RefusesNewWorkAndKeepsPromises) {
  const BranchId promised = Booked(1, "1A");
  ASSERT_EQ(instance_.Prepare(promised), Vote::kPrepared);
  env_.SetCapacity(env_.used_bytes());
  std::optional<BranchId> refused;
  for (uint64_t number = 2; number < 10'000 && !refused; ++number) {
    const BranchId id = SeatsInstance::IdOf(number);
    const absl::Status started = instance_.seats().Start(id, {id.gtid, ""});
    if (!started.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(started)) << started;
      refused = id;
      break;
    }
    (void)instance_.Execute(id,
                            "book " + std::string(2000, 'x') + std::to_string(number));
    if (instance_.Prepare(id) == Vote::kPrepared) {
      EXPECT_EQ(instance_.Rollback(id), FinishState::kDone);
    }
  }
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(instance_.Commit(promised), FinishState::kDone);
}

TEST_F(SeatsTest, FolderOfAnotherClusterOrInUse_IsRefused) {
  SeatsInstance second(&env_);
  const absl::Status in_use = second.Recover().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(in_use)) << in_use;
  instance_.seats().Close();
  const absl::Status foreign = second.Recover(ClusterId(8)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign)) << foreign;
  EXPECT_TRUE(second.Recover().ok());
}

TEST_F(SeatsTest, Close_KeepsPreparedBranchesOnly) {
  const BranchId prepared = Booked(1, "1A");
  ASSERT_EQ(instance_.Prepare(prepared), Vote::kPrepared);
  (void)Booked(2, "1B");
  instance_.seats().Close();
  SeatsInstance again(&env_);
  const auto in_doubt = again.Recover();
  ASSERT_TRUE(in_doubt.ok()) << in_doubt.status();
  EXPECT_EQ(*in_doubt, std::vector<BranchId>{prepared});
  EXPECT_EQ(again.Show(3, "1B"), "free");
}

// --- the whole path ---

wire::ExecuteRequest BookRequest(const std::string& seat) {
  wire::ExecuteRequest work;
  work.__set_opaque("book " + seat);
  return work;
}

TEST(OwnResourceTest, SeatAndPayment_AreBothThereOrNeither) {
  const testing::TempDir folder;
  std::vector<EmbeddedResource> resources;
  wal::LogOptions log = SmallLog();
  log.dir = folder.path() + "/seats";
  resources.push_back({"seats", std::make_unique<Seats>(PosixFileEnv(), log)});
  kv::KvOptions small;
  small.segment_bytes = 8 << 20;
  small.reserve_bytes = 1 << 20;
  resources.push_back(
      {"bank", std::make_unique<kv::KvResourceManager>(folder.path() + "/bank", small)});
  EmbeddedOptions options;
  options.dir = folder.path() + "/coordinator";
  auto embedded = Embedded::Start(std::move(options), std::move(resources));
  ASSERT_TRUE(embedded.ok()) << embedded.status();
  client::Client* client = (*embedded)->client();

  const auto buy = [client](const std::string& seat) {
    return client->Run([&](client::Transaction& t) -> absl::Status {
      const wire::ExecuteReply booked = t.Execute("seats", BookRequest(seat));
      if (booked.result.code != Code::OK) return client::ToStatus(booked.result);
      return t.Kv("bank", {client::AddIfAtLeast("ann", -20, 0)}).status();
    });
  };
  const client::CommitResult opened =
      client->Run([](client::Transaction& t) -> absl::Status {
        return t.Kv("bank", {client::Put("ann", "30")}).status();
      });
  ASSERT_TRUE(opened.committed()) << opened;
  EXPECT_TRUE(buy("12A").committed());
  EXPECT_FALSE(buy("12A").committed()) << "sold";
  EXPECT_FALSE(buy("12B").committed()) << "no money";
  const client::CommitResult free =
      client->Run([](client::Transaction& t) -> absl::Status {
        return client::ToStatus(t.Execute("seats", BookRequest("12B")).result);
      });
  EXPECT_TRUE(free.committed()) << "the seat was given back: " << free;
}

}  // namespace
}  // namespace concordat::participant
