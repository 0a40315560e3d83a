// A participant with a KV shard, over real sockets. Its client and its coordinators are
// in this process, on loops of their own.
#include "participant/sdk/participant.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/fault_env.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/channel_link.h"
#include "tests/support/waiting.h"
#include "tests/unit/sdk/test_coordinator.h"
#include "thrift/rpc/channel.h"

namespace concordat::participant {
namespace {

using wire::Code;

using testing::Eventually;
using testing::SleepMs;

// One incarnation of a participant and its server.
class ParticipantInstance {
 public:
  ParticipantInstance(FaultEnv* env, const std::vector<std::string>& coordinators,
                      ParticipantOptions options, const std::string& resource) {
    thread_ = *rpc::LoopThread::Start();
    thread_->RunSync([&] {
      auto link = ChannelLink::Create(thread_->loop(), coordinators, {});
      CONCORDAT_CHECK(link.ok()) << link.status();
      participant_ = std::make_shared<Participant>(thread_->loop(), *std::move(link),
                                                   std::move(options));
      kv::KvOptions small;
      small.shard.max_branch_bytes = 64 << 10;
      small.segment_bytes = 256 << 10;
      small.reserve_bytes = 256 << 10;
      small.queue_bytes = 256 << 10;
      auto manager = std::make_unique<kv::KvResourceManager>("/kv", env, small);
      manager_ = manager.get();
      CONCORDAT_CHECK(participant_->AddResource(resource, std::move(manager)).ok());
      server_ = std::make_unique<rpc::Server>(thread_->loop(),
                                              Participant::MakeProcessor(participant_));
      address_ = server_->Listen(*rpc::Address::Parse("127.0.0.1:0"))->ToString();
      participant_->SetAdvertise(address_);
      participant_->Start([this](absl::Status status) {
        MutexLock lock(&mutex_);
        ready_ = std::move(status);
      });
    });
  }
  // Returns when the participant's loop has done everything that had reached it.
  void AwaitLoop() {
    thread_->RunSync([] {});
  }
  // Without Stop: as when the process is killed.
  ~ParticipantInstance() {
    thread_->RunSync([this] {
      server_.reset();
      participant_.reset();
    });
  }

  void Stop() {
    bool done = false;
    thread_->RunSync([&] {
      participant_->Stop([&] {
        MutexLock lock(&mutex_);
        done = true;
      });
    });
    CONCORDAT_CHECK(Eventually([&] {
      MutexLock lock(&mutex_);
      return done;
    }));
  }
  std::optional<absl::Status> ready() {
    MutexLock lock(&mutex_);
    return ready_;
  }
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] kv::KvResourceManager* manager() { return manager_; }

 private:
  std::unique_ptr<rpc::LoopThread> thread_;
  std::shared_ptr<Participant> participant_;
  kv::KvResourceManager* manager_ = nullptr;
  std::unique_ptr<rpc::Server> server_;
  std::string address_;
  Mutex mutex_;
  std::optional<absl::Status> ready_;
};

class ParticipantTest : public ::testing::Test {
 protected:
  ParticipantTest() {
    client_thread_ = *rpc::LoopThread::Start();
    for (auto& coordinator : coordinators_) {
      coordinator = std::make_shared<TestCoordinator>();
      client_thread_->RunSync([&] { coordinator->Listen(client_thread_->loop()); });
    }
    options_.branches.in_doubt_inquiry = Duration::Seconds(3600);
    options_.branches.scan_interval = Duration::Millis(10);
    options_.retry = Duration::Millis(20);
  }
  ~ParticipantTest() override {
    instance_.reset();
    client_thread_->RunSync([this] {
      channel_.reset();
      for (auto& coordinator : coordinators_) coordinator->Close();
    });
  }

  void Begin() {
    instance_ = std::make_unique<ParticipantInstance>(
        &env_,
        std::vector<std::string>{coordinators_[0]->address(),
                                 coordinators_[1]->address()},
        options_, resource_);
    client_thread_->RunSync([this] {
      channel_ = std::make_unique<rpc::Channel>(
          client_thread_->loop(), *rpc::Address::Parse(instance_->address()));
    });
  }
  void BeginAndServe() {
    Begin();
    ASSERT_TRUE(Eventually([this] { return instance_->ready().has_value(); }));
    ASSERT_TRUE(instance_->ready()->ok()) << *instance_->ready();
  }
  void Restart() {
    instance_.reset();
    BeginAndServe();
  }

  template <class Pargs, class Presult, class Reply, class Request>
  Reply Call(const char* method, const Request& request) {
    Mutex mutex;
    std::optional<rpc::CallResult<Reply>> result;
    client_thread_->loop()->Post([&] {
      channel_->Call<Pargs, Presult, Reply>(method, request, Duration::Seconds(20),
                                            [&](rpc::CallResult<Reply> r) {
                                              MutexLock lock(&mutex);
                                              result = std::move(r);
                                            });
    });
    while (true) {
      {
        MutexLock lock(&mutex);
        if (result.has_value()) break;
      }
      std::this_thread::yield();
    }
    EXPECT_TRUE(result->ok()) << result->error;
    return result->reply;
  }

  static wire::CallContext Context() {
    wire::CallContext context;
    context.version = 1;
    context.__set_cluster(TestCoordinator::kCluster);
    return context;
  }
  static wire::Gtid MakeGtid(int64_t sequence) {
    wire::Gtid gtid;
    gtid.group = 1;
    gtid.term = 7;
    gtid.sequence = sequence;
    return gtid;
  }
  static wire::KvOperation Operation(wire::KvVerb::type verb, std::string key,
                                     std::string value = "") {
    wire::KvOperation op;
    op.verb = verb;
    op.key = std::move(key);
    if (!value.empty()) op.__set_value(std::move(value));
    return op;
  }
  static wire::ExecuteRequest StartRequest(int64_t sequence,
                                           std::vector<wire::KvOperation> kv) {
    wire::ExecuteRequest request;
    request.context = Context();
    request.__set_start(MakeGtid(sequence));
    request.__set_resource("bank-a");
    request.call_number = 1;
    request.__set_kv(std::move(kv));
    return request;
  }
  wire::ExecuteReply Execute(const wire::ExecuteRequest& request) {
    return Call<wire::ParticipantService_execute_pargs,
                wire::ParticipantService_execute_presult, wire::ExecuteReply>("execute",
                                                                              request);
  }
  wire::BranchId Put(int64_t sequence, const std::string& key, const std::string& value) {
    const wire::ExecuteReply reply =
        Execute(StartRequest(sequence, {Operation(wire::KvVerb::PUT, key, value)}));
    EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
    return reply.branch;
  }
  std::string Get(int64_t sequence, const std::string& key) {
    const wire::ExecuteReply reply =
        Execute(StartRequest(sequence, {Operation(wire::KvVerb::GET, key)}));
    EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
    Rollback({reply.branch});
    return reply.kv.at(0).pairs.empty() ? "(none)" : reply.kv[0].pairs[0].value;
  }
  static wire::BranchList List(std::vector<wire::BranchId> branches) {
    wire::BranchList list;
    list.context = Context();
    list.branches = std::move(branches);
    return list;
  }
  wire::PrepareReply Prepare(const wire::BranchList& list) {
    return Call<wire::ParticipantService_prepare_pargs,
                wire::ParticipantService_prepare_presult, wire::PrepareReply>("prepare",
                                                                              list);
  }
  wire::Vote::type Prepare(const wire::BranchId& branch) {
    const wire::PrepareReply reply = Prepare(List({branch}));
    EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
    return reply.votes.at(0).vote;
  }
  wire::FinishReply Commit(std::vector<wire::BranchId> branches) {
    return Call<wire::ParticipantService_commit_pargs,
                wire::ParticipantService_commit_presult, wire::FinishReply>(
        "commit", List(std::move(branches)));
  }
  wire::FinishReply Rollback(std::vector<wire::BranchId> branches) {
    return Call<wire::ParticipantService_rollback_pargs,
                wire::ParticipantService_rollback_presult, wire::FinishReply>(
        "rollback", List(std::move(branches)));
  }
  wire::OnePhaseReply CommitOnePhase(const wire::BranchId& branch) {
    return Call<wire::ParticipantService_commitOnePhase_pargs,
                wire::ParticipantService_commitOnePhase_presult, wire::OnePhaseReply>(
        "commitOnePhase", List({branch}));
  }
  wire::RecoverReply Recover() {
    return Call<wire::ParticipantService_recover_pargs,
                wire::ParticipantService_recover_presult, wire::RecoverReply>("recover",
                                                                              Context());
  }

  FaultEnv env_{1};
  std::unique_ptr<rpc::LoopThread> client_thread_;
  std::shared_ptr<TestCoordinator> coordinators_[2];
  ParticipantOptions options_;
  std::string resource_ = "bank-a";
  std::unique_ptr<ParticipantInstance> instance_;
  std::unique_ptr<rpc::Channel> channel_;
};

TEST_F(ParticipantTest, Resources_AreRegisteredAndHeartbeatsGoOn) {
  BeginAndServe();
  const std::vector<wire::ResourceInfo> resources = coordinators_[0]->resources();
  ASSERT_EQ(resources.size(), 1u);
  EXPECT_EQ(resources[0].name, "bank-a");
  EXPECT_EQ(resources[0].kind, "kv");
  EXPECT_EQ(resources[0].address, instance_->address());
  EXPECT_GT(resources[0].incarnation, 0);
  EXPECT_TRUE(Eventually([this] { return coordinators_[0]->registrations() > 5; }));
}

TEST_F(ParticipantTest, Leader_IsFoundByHintAndFollowed) {
  coordinators_[0]->set_leader(coordinators_[1]->address());
  BeginAndServe();
  EXPECT_EQ(coordinators_[0]->registrations(), 0u);
  EXPECT_TRUE(Eventually([this] { return coordinators_[1]->registrations() > 2; }));
  // An election.
  coordinators_[0]->set_leader("");
  coordinators_[1]->set_leader(coordinators_[0]->address());
  EXPECT_TRUE(Eventually([this] { return coordinators_[0]->registrations() > 2; }));
  // The end of that node's process.
  coordinators_[1]->set_leader("");
  client_thread_->RunSync([this] { coordinators_[0]->Close(); });
  const size_t before = coordinators_[1]->registrations();
  EXPECT_TRUE(Eventually([&] { return coordinators_[1]->registrations() > before + 2; }));
}

TEST_F(ParticipantTest, Scenario68_BeforeRecovery_EverythingIsUnavailable) {
  for (auto& coordinator : coordinators_) coordinator->set_silent(true);
  Begin();
  wire::BranchId branch;
  branch.gtid = MakeGtid(1);
  branch.resource = "bank-a";
  branch.incarnation = 5;
  branch.number = 1;
  EXPECT_EQ(Prepare(branch), wire::Vote::UNAVAILABLE);
  EXPECT_EQ(Commit({branch}).items[0].state, wire::FinishState::RETRY);
  EXPECT_EQ(CommitOnePhase(branch).result.code, Code::UNAVAILABLE);
  EXPECT_EQ(Execute(StartRequest(1, {})).result.code, Code::UNAVAILABLE);
  EXPECT_EQ(Recover().result.code, Code::UNAVAILABLE);
  EXPECT_FALSE(instance_->ready().has_value());
  for (auto& coordinator : coordinators_) coordinator->set_silent(false);
  ASSERT_TRUE(Eventually([this] { return instance_->ready().has_value(); }));
  EXPECT_EQ(Prepare(branch), wire::Vote::LOST);
}

TEST_F(ParticipantTest, Branch_IsPreparedAndCommitted) {
  BeginAndServe();
  const wire::BranchId branch = Put(1, "k", "v");
  EXPECT_EQ(branch.resource, "bank-a");
  EXPECT_EQ(Prepare(branch), wire::Vote::PREPARED);
  EXPECT_EQ(Prepare(branch), wire::Vote::PREPARED);
  EXPECT_EQ(Recover().branches.at(0).state, "prepared");
  EXPECT_EQ(Commit({branch}).items[0].state, wire::FinishState::DONE);
  EXPECT_EQ(Commit({branch}).items[0].state, wire::FinishState::DONE);
  EXPECT_EQ(Get(2, "k"), "v");
  EXPECT_TRUE(Recover().branches.empty());
}

TEST_F(ParticipantTest, RepeatedCall_GetsTheLastAnswerAndDoesNothingTwice) {
  BeginAndServe();
  wire::KvOperation add = Operation(wire::KvVerb::ADD_IF_AT_LEAST, "n");
  add.__set_delta(1);
  wire::ExecuteRequest request = StartRequest(1, {add});
  wire::ExecuteReply reply = Execute(request);
  EXPECT_EQ(reply.kv[0].sum, 1);
  request.__isset.start = false;
  request.__set_branch(reply.branch);
  request.call_number = 2;
  EXPECT_EQ(Execute(request).kv[0].sum, 2);
  EXPECT_EQ(Execute(request).kv[0].sum, 2);
  request.call_number = 4;
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  request.call_number = 3;
  EXPECT_EQ(Execute(request).kv[0].sum, 3);
}

TEST_F(ParticipantTest, Scenario24And25_RestartKeepsDoubtAndEvidence) {
  BeginAndServe();
  const int64_t incarnation = coordinators_[0]->resources()[0].incarnation;
  const wire::BranchId in_doubt = Put(1, "a", "1");
  const wire::BranchId committed = Put(2, "b", "2");
  const wire::BranchId active = Put(3, "c", "3");
  EXPECT_EQ(Prepare(in_doubt), wire::Vote::PREPARED);
  EXPECT_EQ(Prepare(committed), wire::Vote::PREPARED);
  EXPECT_EQ(Commit({committed}).items[0].state, wire::FinishState::DONE);
  Restart();
  EXPECT_NE(coordinators_[0]->resources()[0].incarnation, incarnation);
  ASSERT_EQ(Recover().branches.size(), 1u);
  EXPECT_EQ(Recover().branches[0].branch, in_doubt);
  EXPECT_EQ(Prepare(in_doubt), wire::Vote::PREPARED);
  EXPECT_EQ(Prepare(active), wire::Vote::LOST);
  const wire::FinishReply reply = Commit({committed, in_doubt});
  EXPECT_EQ(reply.items[0].state, wire::FinishState::DONE);
  EXPECT_EQ(reply.items[1].state, wire::FinishState::DONE);
  EXPECT_EQ(Get(10, "a"), "1");
  EXPECT_EQ(Get(11, "c"), "(none)");
}

TEST_F(ParticipantTest, BranchInDoubt_PullsItsOutcome) {
  options_.branches.in_doubt_inquiry = Duration::Millis(50);
  BeginAndServe();
  const wire::BranchId branch = Put(1, "k", "v");
  EXPECT_EQ(Prepare(branch), wire::Vote::PREPARED);
  ASSERT_TRUE(Eventually([this] { return coordinators_[0]->inquired().size() >= 2; }));
  EXPECT_EQ(coordinators_[0]->inquired()[0], branch);
  EXPECT_EQ(Recover().branches.size(), 1u) << "WAIT is not an outcome";
  coordinators_[0]->set_answer(wire::InquiryAnswer::COMMIT);
  ASSERT_TRUE(Eventually([this] { return Recover().branches.empty(); }));
  EXPECT_EQ(Get(2, "k"), "v");
  coordinators_[0]->set_answer(wire::InquiryAnswer::ROLLBACK);
  const wire::BranchId other = Put(3, "k", "w");
  EXPECT_EQ(Prepare(other), wire::Vote::PREPARED);
  ASSERT_TRUE(Eventually([this] { return Recover().branches.empty(); }));
  EXPECT_EQ(Get(4, "k"), "v");
}

TEST_F(ParticipantTest, Scenario74_OnePhase_IsRememberedAndToldToALatePrepare) {
  BeginAndServe();
  const wire::BranchId branch = Put(1, "k", "v");
  for (int i = 0; i < 2; ++i) {
    const wire::OnePhaseReply reply = CommitOnePhase(branch);
    EXPECT_EQ(reply.result.code, Code::OK);
    EXPECT_EQ(reply.outcome, wire::Outcome::COMMITTED);
    if (i == 0) Restart();
  }
  EXPECT_EQ(Prepare(branch), wire::Vote::COMMITTED_ALONE);
  EXPECT_EQ(Rollback({branch}).items[0].state, wire::FinishState::HEURISTIC_COMMIT);
  EXPECT_EQ(Get(2, "k"), "v");
}

TEST_F(ParticipantTest, Watermark_ReachesTheResourceManager) {
  BeginAndServe();
  const wire::BranchId branch = Put(1, "k", "v");
  EXPECT_EQ(CommitOnePhase(branch).outcome, wire::Outcome::COMMITTED);
  EXPECT_EQ(instance_->manager()->stats().evidence, 1u);
  coordinators_[0]->set_watermark(MakeGtid(5000));
  EXPECT_TRUE(Eventually([this] { return instance_->manager()->stats().evidence == 0; }));
  EXPECT_EQ(CommitOnePhase(branch).result.code, Code::UNKNOWN) << "never a guess";
  EXPECT_EQ(Execute(StartRequest(4999, {})).result.code, Code::INVALID);
}

TEST_F(ParticipantTest, Lists_AreAnsweredInOrderAndShareFlushes) {
  BeginAndServe();
  std::vector<wire::BranchId> branches;
  for (int i = 0; i < 300; ++i) {
    branches.push_back(Put(i + 1, absl::StrCat("k", i), "v"));
    if (i % 10 == 0) Rollback({branches.back()});
  }
  wire::BranchList list = List(branches);
  list.branches[5].resource = "bank-z";
  // The first flush lasts until the participant has been through the list.
  std::atomic<bool> first = true;
  env_.SetSyncHook([&] {
    if (first.exchange(false)) instance_->AwaitLoop();
  });
  const uint64_t flushes = instance_->manager()->flush_count();
  const wire::PrepareReply reply = Prepare(list);
  EXPECT_LE(instance_->manager()->flush_count() - flushes, 2u);
  env_.SetSyncHook(nullptr);
  ASSERT_EQ(reply.votes.size(), 300u);
  for (size_t i = 0; i < reply.votes.size(); ++i) {
    const wire::Vote::type want = i == 5        ? wire::Vote::UNAVAILABLE
                                  : i % 10 == 0 ? wire::Vote::LOST
                                                : wire::Vote::PREPARED;
    EXPECT_EQ(reply.votes[i].vote, want) << i;
  }
}

TEST_F(ParticipantTest, WrongCalls_AreRefusedAndChangeNothing) {
  options_.max_operations = 2;
  options_.branches.max_branches = 3;
  BeginAndServe();
  wire::ExecuteRequest request = StartRequest(1, {});
  request.context.version = 99;
  EXPECT_EQ(Execute(request).result.code, Code::VERSION);
  request = StartRequest(1, {});
  request.context.cluster = 1;
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  request = StartRequest(1, {});
  request.resource = "bank-z";
  EXPECT_EQ(Execute(request).result.code, Code::NOT_FOUND);
  request = StartRequest(0, {});
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  request = StartRequest(1, {});
  request.call_number = 2;
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  request = StartRequest(
      1, std::vector<wire::KvOperation>(3, Operation(wire::KvVerb::GET, "k")));
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  request = StartRequest(1, {});
  request.__isset.start = false;
  EXPECT_EQ(Execute(request).result.code, Code::INVALID);
  // A first call that does nothing leaves no branch.
  request = StartRequest(1, {Operation(wire::KvVerb::PUT, "k")});
  const wire::ExecuteReply invalid = Execute(request);
  EXPECT_EQ(invalid.result.code, Code::INVALID);
  EXPECT_FALSE(invalid.__isset.branch);
  EXPECT_TRUE(Eventually([this] { return Recover().branches.empty(); }));
  EXPECT_EQ(Prepare(List({})).result.code, Code::OK);
  wire::BranchId bad;
  bad.resource = "NOT A NAME";
  EXPECT_EQ(Prepare(List({bad})).result.code, Code::INVALID);
  for (int i = 0; i < 3; ++i) Put(i + 1, absl::StrCat(i), "v");
  EXPECT_EQ(Execute(StartRequest(9, {})).result.code, Code::OVERLOADED);
}

TEST_F(ParticipantTest, Call_ThatWaitsTooLong_IsRolledBack) {
  BeginAndServe();
  const wire::BranchId older = Put(1, "k", "1");
  wire::ExecuteRequest request =
      StartRequest(2, {Operation(wire::KvVerb::PUT, "k", "2")});
  request.context.__set_deadline_ms(50);
  EXPECT_EQ(Execute(request).result.code, Code::TIMED_OUT);
  EXPECT_EQ(Prepare(older), wire::Vote::PREPARED);
}

TEST_F(ParticipantTest, Stop_RollsBackActiveBranchesAndKeepsPreparedOnes) {
  BeginAndServe();
  const wire::BranchId prepared = Put(1, "a", "1");
  EXPECT_EQ(Prepare(prepared), wire::Vote::PREPARED);
  const wire::BranchId active = Put(2, "b", "1");
  instance_->Stop();
  EXPECT_EQ(Prepare(List({prepared})).result.code, Code::UNAVAILABLE);
  Restart();
  EXPECT_EQ(Recover().branches.at(0).branch, prepared);
  EXPECT_EQ(Prepare(active), wire::Vote::LOST);
}

TEST_F(ParticipantTest, ResourceThatCannotRecover_IsReported) {
  BeginAndServe();
  instance_->Stop();
  instance_.reset();
  ASSERT_TRUE(env_.Create("/kv/foreign").ok());
  Begin();
  ASSERT_TRUE(Eventually([this] { return instance_->ready().has_value(); }));
  const absl::Status status = *instance_->ready();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("bank-a"), absl::string_view::npos);
  wire::BranchId branch;
  branch.gtid = MakeGtid(1);
  branch.resource = "bank-a";
  branch.number = 1;
  EXPECT_EQ(Prepare(List({branch})).result.code, Code::UNAVAILABLE);
}

// The coordinators know its branches by the old name.
TEST_F(ParticipantTest, StoreWithABranchInDoubtOfAnotherName_IsNotServed) {
  BeginAndServe();
  EXPECT_EQ(Prepare(Put(1, "k", "v")), wire::Vote::PREPARED);
  instance_.reset();
  resource_ = "bank-b";
  Begin();
  ASSERT_TRUE(Eventually([this] { return instance_->ready().has_value(); }));
  const absl::Status status = *instance_->ready();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("in doubt of resource bank-a"),
            absl::string_view::npos);
}

TEST_F(ParticipantTest, RefusedRegistration_IsReportedAndNothingIsServed) {
  coordinators_[0]->set_refuses(true);
  Begin();
  ASSERT_TRUE(Eventually([this] { return instance_->ready().has_value(); }));
  const absl::Status status = *instance_->ready();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("another store"), absl::string_view::npos);
  EXPECT_EQ(Execute(StartRequest(1, {Operation(wire::KvVerb::GET, "k")})).result.code,
            Code::UNAVAILABLE);
}

TEST_F(ParticipantTest, Store_HasOneIdentityForItsLife) {
  BeginAndServe();
  const std::string store = coordinators_[0]->resources()[0].store;
  EXPECT_EQ(store.size(), 16u);
  EXPECT_FALSE(coordinators_[0]->resources()[0].__isset.replace_store);
  Restart();
  EXPECT_EQ(coordinators_[0]->resources()[0].store, store);
  instance_.reset();
  env_.Crash(FaultEnv::Unsynced::kDropAll);
  options_.replace_stores = {"bank-a"};
  BeginAndServe();
  EXPECT_EQ(coordinators_[0]->resources()[0].store, store);
}

}  // namespace
}  // namespace concordat::participant
