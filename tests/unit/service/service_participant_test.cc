// A service behind a participant, with repeated, late and forged requests; and a whole
// transaction of a seat and a payment.
#include <gmock/gmock.h>

#include "coordinator/client/operations.h"
#include "coordinator/embedded/embedded.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/participant.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/service/service_instance.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::service {
namespace {

using ::testing::HasSubstr;
using wire::Code;

// A coordinator that knows nothing and lets every branch wait.
class QuietLink final : public CoordinatorLink {
 public:
  void Hello(const wire::CallContext& /*context*/, Done<wire::HelloReply> done) override {
    wire::HelloReply reply;
    reply.result.code = Code::OK;
    reply.version = 1;
    reply.cluster = 77;
    done(reply);
  }
  void Register(const wire::RegisterRequest& /*request*/,
                Done<wire::RegisterReply> done) override {
    wire::RegisterReply reply;
    reply.result.code = Code::OK;
    reply.__set_cluster(77);
    reply.__set_heartbeat_ms(1000);
    done(reply);
  }
  void Inquire(const wire::InquiryRequest& /*request*/,
               Done<wire::InquiryReply> done) override {
    wire::InquiryReply reply;
    reply.result.code = Code::UNAVAILABLE;
    done(reply);
  }
};

class ServedService : public ::testing::Test {
 protected:
  ServedService() { Serve(); }
  ~ServedService() override {
    Kill();
    for (const std::string& violation : world_.Violations()) ADD_FAILURE() << violation;
  }

  void Serve() {
    auto later = Later<absl::Status>();
    thread_->RunSync([&] {
      participant_ = std::make_shared<Participant>(
          thread_->loop(), std::make_unique<QuietLink>(), ParticipantOptions{});
      auto rm = std::make_unique<ServiceResourceManager>(
          "/seats", std::make_unique<ModelService>(&world_), SmallOptions(), &env_);
      rm_ = rm.get();
      EXPECT_TRUE(participant_->AddResource("seats", std::move(rm)).ok());
      participant_->SetAdvertise("127.0.0.1:1");
      participant_->Start(std::move(later.first));
    });
    const absl::Status status = Get(std::move(later.second));
    EXPECT_TRUE(status.ok()) << status;
  }
  void Kill() {
    thread_->RunSync([this] { participant_.reset(); });
  }

  static wire::CallContext Context() {
    wire::CallContext context;
    context.version = 1;
    return context;
  }
  template <class Reply>
  Reply Ask(std::function<void(std::function<void(const Reply&)>)> call) {
    auto promise = std::make_shared<std::promise<Reply>>();
    auto future = promise->get_future();
    thread_->loop()->Post(
        [&] { call([promise](const Reply& reply) { promise->set_value(reply); }); });
    return Get(std::move(future));
  }
  wire::ExecuteReply Execute(const wire::ExecuteRequest& request) {
    return Ask<wire::ExecuteReply>(
        [&](auto cob) { participant_->execute(std::move(cob), request); });
  }
  wire::ExecuteRequest Request(const std::string& text, int64_t sequence) {
    wire::ExecuteRequest request;
    request.context = Context();
    wire::Gtid gtid;
    gtid.group = 1;
    gtid.term = 7;
    gtid.sequence = sequence;
    request.__set_start(gtid);
    request.__set_resource("seats");
    request.call_number = 1;
    request.__set_opaque(text);
    return request;
  }
  wire::ExecuteRequest More(const std::string& text, const wire::BranchId& branch,
                            int64_t number) {
    wire::ExecuteRequest request;
    request.context = Context();
    request.__set_branch(branch);
    request.call_number = number;
    request.__set_opaque(text);
    return request;
  }
  wire::BranchId Booked(const std::string& seat, int64_t sequence) {
    const wire::ExecuteReply reply = Execute(Request("book " + seat, sequence));
    EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
    return reply.branch;
  }
  static wire::BranchList List(const wire::BranchId& branch) {
    wire::BranchList list;
    list.context = Context();
    list.branches = {branch};
    list.__set_decided(true);
    return list;
  }
  wire::Vote::type Prepare(const wire::BranchId& branch) {
    return Ask<wire::PrepareReply>(
               [&](auto cob) { participant_->prepare(std::move(cob), List(branch)); })
        .votes.at(0)
        .vote;
  }
  wire::FinishResult Commit(const wire::BranchId& branch) {
    return Ask<wire::FinishReply>(
               [&](auto cob) { participant_->commit(std::move(cob), List(branch)); })
        .items.at(0);
  }
  wire::FinishResult Rollback(const wire::BranchId& branch) {
    return Ask<wire::FinishReply>(
               [&](auto cob) { participant_->rollback(std::move(cob), List(branch)); })
        .items.at(0);
  }
  wire::OnePhaseReply CommitOnePhase(const wire::BranchId& branch) {
    return Ask<wire::OnePhaseReply>(
        [&](auto cob) { participant_->commitOnePhase(std::move(cob), List(branch)); });
  }
  std::string Seat(const std::string& seat) { return world_.Store().Seat(seat); }

  FaultEnv env_{1};
  ModelWorld world_;
  std::unique_ptr<rpc::LoopThread> thread_ = *rpc::LoopThread::Start();
  std::shared_ptr<Participant> participant_;
  ServiceResourceManager* rm_ = nullptr;
};

TEST_F(ServedService, RepeatedCall_GetsTheFirstAnswerAndTriesOnce) {
  const wire::BranchId id = Booked("1A", 1);
  const wire::ExecuteReply again = Execute(More("book 1A", id, 1));
  EXPECT_EQ(again.result.code, Code::OK);
  EXPECT_EQ(again.opaque, "booked 1A");
  EXPECT_EQ(world_.CallsOf("try"), 1U);
}

TEST_F(ServedService, RepeatedPrepareAndCommit_AreAnsweredAlike) {
  const wire::BranchId id = Booked("1A", 1);
  EXPECT_EQ(Prepare(id), wire::Vote::PREPARED);
  EXPECT_EQ(Prepare(id), wire::Vote::PREPARED);
  EXPECT_EQ(Commit(id).state, wire::FinishState::DONE);
  EXPECT_EQ(Commit(id).state, wire::FinishState::DONE);
  EXPECT_EQ(world_.CallsOf("confirm"), 1U);
  EXPECT_EQ(Rollback(id).state, wire::FinishState::HEURISTIC_COMMIT);
  EXPECT_EQ(Seat("1A"), "sold");
}

TEST_F(ServedService, CancelBeforeTry_NothingIsTriedLater) {
  const wire::BranchId id = Booked("1A", 1);
  wire::BranchId made_up = id;
  made_up.number += 5;
  EXPECT_EQ(Rollback(made_up).state, wire::FinishState::DONE);
  EXPECT_EQ(Execute(More("book 1B", made_up, 1)).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Seat("1B"), "free");
}

TEST_F(ServedService, TryAfterCancel_IsRefused) {
  const wire::BranchId id = Booked("1A", 1);
  EXPECT_EQ(Rollback(id).state, wire::FinishState::DONE);
  EXPECT_EQ(Execute(More("book 1A", id, 2)).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Prepare(id), wire::Vote::LOST);
  EXPECT_EQ(Seat("1A"), "free");
  EXPECT_EQ(world_.CallsOf("cancel"), 1U);
}

TEST_F(ServedService, ConfirmWithoutTryOrVote_IsRefused) {
  const wire::BranchId id = Booked("1A", 1);
  EXPECT_EQ(Commit(id).state, wire::FinishState::RETRY) << "it has not voted";
  wire::BranchId made_up = id;
  made_up.number += 5;
  EXPECT_EQ(Commit(made_up).state, wire::FinishState::RETRY);
  EXPECT_EQ(world_.CallsOf("confirm"), 0U);
}

TEST_F(ServedService, FailedConfirm_TellsTheCoordinatorWhy) {
  const wire::BranchId id = Booked("1A", 1);
  ASSERT_EQ(Prepare(id), wire::Vote::PREPARED);
  world_.FailNext("confirm", false);
  const wire::FinishResult first = Commit(id);
  EXPECT_EQ(first.state, wire::FinishState::RETRY);
  EXPECT_THAT(first.detail, HasSubstr("confirm is out of order"));
  EXPECT_TRUE(Eventually([&] { return Commit(id).state == wire::FinishState::DONE; }));
}

TEST_F(ServedService, OnePhase_IsAnsweredAgainFromEvidenceAlsoAfterARestart) {
  const wire::BranchId id = Booked("1A", 1);
  EXPECT_EQ(CommitOnePhase(id).outcome, wire::Outcome::COMMITTED);
  EXPECT_EQ(CommitOnePhase(id).outcome, wire::Outcome::COMMITTED);
  EXPECT_EQ(Prepare(id), wire::Vote::COMMITTED_ALONE);
  Kill();
  Serve();
  EXPECT_EQ(CommitOnePhase(id).outcome, wire::Outcome::COMMITTED);
  EXPECT_EQ(world_.CallsOf("confirm"), 1U);
}

TEST_F(ServedService, OnePhaseWhoseConfirmFails_IsUnavailableThenCommitted) {
  const wire::BranchId id = Booked("1A", 1);
  world_.FailNext("confirm", true);
  EXPECT_EQ(CommitOnePhase(id).result.code, Code::UNAVAILABLE);
  EXPECT_TRUE(Eventually([&] {
    const wire::OnePhaseReply reply = CommitOnePhase(id);
    return reply.result.code == Code::OK && reply.outcome == wire::Outcome::COMMITTED;
  }));
  EXPECT_EQ(world_.CallsOf("confirm"), 1U);
}

TEST_F(ServedService, PreparedBranch_IsThereAfterARestart) {
  const wire::BranchId id = Booked("1A", 1);
  ASSERT_EQ(Prepare(id), wire::Vote::PREPARED);
  Kill();
  Serve();
  EXPECT_EQ(Execute(More("book 1B", id, 2)).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Prepare(id), wire::Vote::PREPARED);
  EXPECT_EQ(Commit(id).state, wire::FinishState::DONE);
  EXPECT_EQ(Seat("1A"), "sold");
}

// --- the whole path ---

TEST(ServiceTransaction, SeatAndPayment_AreBothThereOrNeither) {
  const testing::TempDir folder;
  FaultEnv env(1);
  ModelWorld world;
  std::vector<EmbeddedResource> resources;
  resources.push_back({"seats", std::make_unique<ServiceResourceManager>(
                                    "/seats", std::make_unique<ModelService>(&world),
                                    SmallOptions(), &env)});
  kv::KvOptions small;
  small.segment_bytes = 8 << 20;
  small.reserve_bytes = 1 << 20;
  resources.push_back(
      {"bank", std::make_unique<kv::KvResourceManager>("/bank", &env, small)});
  EmbeddedOptions options;
  options.dir = folder.path() + "/coordinator";
  auto embedded = Embedded::Start(options, std::move(resources));
  ASSERT_TRUE(embedded.ok()) << embedded.status();
  client::Client* client = (*embedded)->client();
  const auto buy = [client](const std::string& seat) {
    return client->Run([&](client::Transaction& t) -> absl::Status {
      wire::ExecuteRequest work;
      work.__set_opaque("book " + seat);
      const wire::ExecuteReply booked = t.Execute("seats", work);
      if (booked.result.code != Code::OK) return client::ToStatus(booked.result);
      return t.Kv("bank", {client::AddIfAtLeast("ann", -20, 0)}).status();
    });
  };
  ASSERT_TRUE(client
                  ->Run([](client::Transaction& t) -> absl::Status {
                    return t.Kv("bank", {client::Put("ann", "30")}).status();
                  })
                  .committed());
  EXPECT_TRUE(buy("12A").committed());
  EXPECT_FALSE(buy("12A").committed()) << "sold";
  EXPECT_FALSE(buy("12B").committed()) << "no money";
  EXPECT_TRUE(Eventually([&] { return world.Store().Count(State::kTried) == 0; }));
  EXPECT_EQ(world.Store().Seat("12A"), "sold");
  EXPECT_EQ(world.Store().Seat("12B"), "free");
  embedded->reset();
  EXPECT_TRUE(world.Violations().empty());
}

}  // namespace
}  // namespace concordat::participant::service
