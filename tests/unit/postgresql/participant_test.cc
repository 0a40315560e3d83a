// A participant serves a PostgreSQL database over sockets. Its client and its coordinator
// are in this process.
#include "participant/sdk/participant.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "absl/strings/str_cat.h"
#include "participant/sdk/channel_link.h"
#include "tests/unit/postgresql/support.h"
#include "tests/unit/sdk/test_coordinator.h"
#include "thrift/rpc/channel.h"

namespace concordat::participant {
namespace {

using wire::Code;

class ServedTest : public PostgresqlTest {
 protected:
  ServedTest() : thread_(*rpc::LoopThread::Start()), remote_(*rpc::LoopThread::Start()) {
    coordinator_ = std::make_shared<TestCoordinator>();
    remote_->RunSync([this] { coordinator_->Listen(remote_->loop()); });
    coordinator_->set_answer(wire::InquiryAnswer::WAIT);
  }
  ~ServedTest() override {
    Kill();
    remote_->RunSync([this] { coordinator_->Close(); });
  }

  void Serve(Duration in_doubt = Duration::Seconds(3600),
             Duration scan = Duration::Seconds(5)) {
    DatabaseOptions bank = Options();
    bank.scan_interval = scan;
    std::atomic<bool> ready{false};
    thread_->RunSync([&] {
      ParticipantOptions options;
      options.branches.in_doubt_inquiry = in_doubt;
      options.branches.scan_interval = Duration::Millis(10);
      auto link = ChannelLink::Create(thread_->loop(), {coordinator_->address()}, {});
      participant_ =
          std::make_shared<Participant>(thread_->loop(), *std::move(link), options);
      ASSERT_TRUE(participant_->AddResource(kResource, MakePostgresql(Url(), bank)).ok());
      server_ = std::make_unique<rpc::Server>(thread_->loop(),
                                              Participant::MakeProcessor(participant_));
      address_ = *server_->Listen(*rpc::Address::Parse("127.0.0.1:0"));
      participant_->SetAdvertise(address_.ToString());
      participant_->Start([&ready](absl::Status status) {
        EXPECT_TRUE(status.ok()) << status;
        ready = true;
      });
    });
    ASSERT_TRUE(Eventually([&] { return ready.load(); }));
    remote_->RunSync(
        [this] { channel_ = std::make_unique<rpc::Channel>(remote_->loop(), address_); });
  }
  // Destroys the participant without Stop.
  void Kill() {
    remote_->RunSync([this] { channel_.reset(); });
    thread_->RunSync([this] {
      server_.reset();
      participant_.reset();
    });
  }

  template <class Pargs, class Presult, class Reply, class Request>
  Reply Ask(const char* method, const Request& request) {
    Later<rpc::CallResult<Reply>> result;
    remote_->loop()->Post([&, done = result.callback()]() mutable {
      channel_->Call<Pargs, Presult, Reply>(method, request, Duration::Seconds(20),
                                            std::move(done));
    });
    const rpc::CallResult<Reply> got = result.Get();
    EXPECT_TRUE(got.ok()) << got.error;
    return got.reply;
  }
  static wire::CallContext Context() {
    wire::CallContext context;
    context.version = 1;
    context.__set_cluster(TestCoordinator::kCluster);
    return context;
  }
  wire::ExecuteReply StartAndRun(int64_t sequence, std::string sql) {
    wire::ExecuteRequest request;
    request.context = Context();
    wire::Gtid gtid;
    gtid.group = 1;
    gtid.term = 7;
    gtid.sequence = sequence;
    request.__set_start(gtid);
    request.__set_resource(kResource);
    request.call_number = 1;
    request.__set_sql({Stmt(std::move(sql))});
    return Ask<wire::ParticipantService_execute_pargs,
               wire::ParticipantService_execute_presult, wire::ExecuteReply>("execute",
                                                                             request);
  }
  static wire::BranchList List(const wire::BranchId& branch) {
    wire::BranchList list;
    list.context = Context();
    list.branches = {branch};
    return list;
  }
  wire::Vote::type PrepareServed(const wire::BranchId& branch) {
    return Ask<wire::ParticipantService_prepare_pargs,
               wire::ParticipantService_prepare_presult, wire::PrepareReply>("prepare",
                                                                             List(branch))
        .votes.at(0)
        .vote;
  }
  wire::FinishState::type CommitServed(const wire::BranchId& branch) {
    return Ask<wire::ParticipantService_commit_pargs,
               wire::ParticipantService_commit_presult, wire::FinishReply>("commit",
                                                                           List(branch))
        .items.at(0)
        .state;
  }
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }

  std::unique_ptr<rpc::LoopThread> thread_;
  std::unique_ptr<rpc::LoopThread> remote_;
  std::shared_ptr<TestCoordinator> coordinator_;
  std::shared_ptr<Participant> participant_;
  std::unique_ptr<rpc::Server> server_;
  rpc::Address address_;
  std::unique_ptr<rpc::Channel> channel_;
};

TEST_F(ServedTest, ExecutePrepareCommit_OverSockets) {
  Serve();
  const wire::ExecuteReply reply =
      StartAndRun(1, "UPDATE account SET balance=balance-1 WHERE id=1 RETURNING balance");
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_EQ(Show(reply.sql.at(0)), "99");
  EXPECT_EQ(PrepareServed(reply.branch), wire::Vote::PREPARED);
  EXPECT_EQ(CommitServed(reply.branch), wire::FinishState::DONE);
  EXPECT_EQ(CommitServed(reply.branch), wire::FinishState::DONE);
  EXPECT_EQ(Balance(), "99");
  EXPECT_EQ(PrepareServed(StartAndRun(2, "SELECT 1").branch), wire::Vote::READ_ONLY);
}

TEST_F(ServedTest, Scenario24_RestartedInDoubt_AsksAndCommits) {
  Serve();
  const wire::BranchId branch =
      StartAndRun(1, "UPDATE account SET balance=balance-1 WHERE id=1").branch;
  EXPECT_EQ(PrepareServed(branch), wire::Vote::PREPARED);
  Kill();
  coordinator_->set_answer(wire::InquiryAnswer::COMMIT);
  Serve(Duration::Millis(50));
  EXPECT_TRUE(Eventually([&] { return Balance() == "99"; }));
  EXPECT_EQ(CommitServed(branch), wire::FinishState::DONE);
}

TEST_F(ServedTest, Scenario32_NoCoordinatorKnows_TheBranchHolds) {
  Serve(Duration::Millis(20));
  const wire::BranchId branch =
      StartAndRun(1, "UPDATE account SET balance=balance-1 WHERE id=1").branch;
  EXPECT_EQ(PrepareServed(branch), wire::Vote::PREPARED);
  EXPECT_TRUE(Eventually([&] { return coordinator_->inquired().size() >= 3; }));
  EXPECT_EQ(Prepared().size(), 1u);
  coordinator_->set_answer(wire::InquiryAnswer::ROLLBACK);
  EXPECT_TRUE(Eventually([&] { return Prepared().empty(); }));
  EXPECT_EQ(Balance(), "100");
}

TEST_F(ServedTest, BranchThatTurnsUpLater_IsAdoptedAsksAndIsSettled) {
  coordinator_->set_answer(wire::InquiryAnswer::COMMIT);
  Serve(Duration::Millis(50), Duration::Millis(20));
  const ClusterId cluster{TestCoordinator::kCluster};
  const BranchId late{{GroupId(1), Term(7), 9}, kResource, Incarnation(0x4f00), 3};
  BranchId other = late;
  other.resource = "bank-b";
  for (const auto& [branch, id] : {std::pair{late, "1"}, {other, "2"}}) {
    Sql(absl::StrCat("BEGIN; UPDATE account SET balance=99 WHERE id=", id,
                     "; PREPARE TRANSACTION '", XidText(MakeXid(cluster, branch)), "'"));
  }
  EXPECT_TRUE(Eventually([&] { return Balance() == "99"; }));
  expected_left_ = {XidText(MakeXid(cluster, other))};
  EXPECT_EQ(Prepared(), expected_left_);
  for (const wire::BranchId& asked : coordinator_->inquired()) {
    EXPECT_EQ(asked.resource, kResource);
  }
}

TEST_F(ServedTest, Scenario30_RolledBackByHand_TheCoordinatorHearsOfIt) {
  Serve();
  const wire::BranchId branch =
      StartAndRun(1, "UPDATE account SET balance=balance-1 WHERE id=1").branch;
  EXPECT_EQ(PrepareServed(branch), wire::Vote::PREPARED);
  Sql("ROLLBACK PREPARED '" + Prepared().at(0) + "'");
  EXPECT_EQ(CommitServed(branch), wire::FinishState::HEURISTIC_ROLLBACK);
  EXPECT_EQ(CommitServed(branch), wire::FinishState::HEURISTIC_ROLLBACK);
}

}  // namespace
}  // namespace concordat::participant
