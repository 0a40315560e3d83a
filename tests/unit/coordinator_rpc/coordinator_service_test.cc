// What the service checks by itself, and what its answers are called on the wire.
#include "coordinator/rpc/coordinator_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "concordat_wire/types_constants.h"

namespace concordat::rpc {
namespace {

using ::testing::HasSubstr;
using wire::Code;

// A node that says what the test wants it to.
class ScriptedBackend final : public CoordinatorBackend {
 public:
  void Submit(registry::Request, RegistryDone) override {}
  void Submit(txn::Request request, Done done) override {
    requests.push_back(std::move(request));
    done(reply);
  }
  [[nodiscard]] bool is_ready_leader() const override { return ready; }
  void Submit(const MemberRequest&, MemberDone) override {}
  [[nodiscard]] MembersView Members() const override { return {}; }
  [[nodiscard]] NodeId node() const override { return NodeId(2); }
  [[nodiscard]] ClusterId cluster() const override { return ClusterId(5); }
  [[nodiscard]] NodeId leader() const override { return NodeId(2); }
  [[nodiscard]] const Gtid& watermark() const override { return none_; }
  [[nodiscard]] NodeView View() const override { return {}; }
  [[nodiscard]] const std::map<NodeId, std::string>& client_addresses() const override {
    return addresses_;
  }
  [[nodiscard]] std::vector<registry::ResourceView> Resources() const override {
    return {};
  }
  [[nodiscard]] std::vector<txn::TransactionView> List(const Gtid&,
                                                       size_t) const override {
    return {};
  }
  [[nodiscard]] txn::TransactionView Show(const Gtid&) const override { return {}; }
  [[nodiscard]] std::vector<txn::HeuristicView> Heuristics(const BranchId&,
                                                           size_t) const override {
    return {};
  }

  bool ready = true;
  txn::Reply reply = txn::CommittedReply{};
  std::vector<txn::Request> requests;

 private:
  const Gtid none_{};
  const std::map<NodeId, std::string> addresses_ = {{NodeId(1), "one:7001"},
                                                    {NodeId(2), "two:7001"}};
};

class CoordinatorServiceTest : public ::testing::Test {
 protected:
  static wire::CommitRequest Request() {
    wire::CommitRequest request;
    request.context.version = wire::g_types_constants.PROTOCOL_VERSION;
    request.gtid.group = 1;
    request.gtid.term = 1;
    request.gtid.sequence = 1;
    request.mode = wire::CommitMode::DECIDED;
    request.timeout_ms = 1000;
    return request;
  }
  wire::OutcomeReply Commit(const wire::CommitRequest& request) {
    wire::OutcomeReply reply;
    service_.commit([&reply](const wire::OutcomeReply& said) { reply = said; }, request);
    return reply;
  }
  void ExpectInvalid(const wire::CommitRequest& request, const std::string& why) {
    const wire::Result result = Commit(request).result;
    EXPECT_EQ(result.code, Code::INVALID);
    EXPECT_THAT(result.message, HasSubstr(why));
    EXPECT_TRUE(backend_.requests.empty());
  }

  ScriptedBackend backend_;
  CoordinatorServiceHandler service_{&backend_};
};

TEST_F(CoordinatorServiceTest, AnswersHaveTheSameNamesAsInTheCore) {
  const std::vector<std::pair<txn::Reply, Code::type>> names = {
      {txn::CommittedReply{}, Code::OK},
      {txn::AbortedReply{AbortCause::kRefused}, Code::OK},
      {txn::UndecidedReply{}, Code::UNDECIDED},
      {txn::NotStagedReply{}, Code::NOT_FOUND},
      {txn::NotLeaderReply{}, Code::NOT_LEADER},
      {txn::NotReadyReply{}, Code::NOT_READY},
      {txn::ForgottenReply{}, Code::FORGOTTEN},
      {txn::RefusedReply{txn::Refusal::kOverloaded, "full"}, Code::OVERLOADED},
      {txn::RefusedReply{txn::Refusal::kTooLate, "late"}, Code::TOO_LATE},
      {txn::RefusedReply{txn::Refusal::kForged, "forged"}, Code::INVALID}};
  for (const auto& [reply, code] : names) {
    backend_.reply = reply;
    const wire::OutcomeReply said = Commit(Request());
    EXPECT_EQ(said.result.code, code) << txn::Describe(reply);
    EXPECT_EQ(said.__isset.outcome, code == Code::OK);
  }
}

TEST_F(CoordinatorServiceTest, Scenario77_RefusalsNameTheLeader) {
  for (const txn::Reply& reply :
       {txn::Reply(txn::RefusedReply{txn::Refusal::kOverloaded, "full"}),
        txn::Reply(txn::NotLeaderReply{}), txn::Reply(txn::UndecidedReply{})}) {
    backend_.reply = reply;
    EXPECT_EQ(Commit(Request()).result.leader_hint, "two:7001") << txn::Describe(reply);
  }
}

TEST_F(CoordinatorServiceTest, Scenario77_OtherVersion_IsTheLeadersToRefuse) {
  wire::CommitRequest newer = Request();
  ++newer.context.version;
  backend_.ready = false;
  EXPECT_EQ(Commit(newer).result.code, Code::NOT_LEADER);
  EXPECT_EQ(Commit(newer).result.leader_hint, "two:7001");
  backend_.ready = true;
  EXPECT_EQ(Commit(newer).result.code, Code::VERSION);
  EXPECT_EQ(Commit(newer).result.leader_hint, "two:7001");
  EXPECT_TRUE(backend_.requests.empty());
}

TEST_F(CoordinatorServiceTest, Deadline_GoesToTheCore_AndMustBePositive) {
  wire::CommitRequest request = Request();
  (void)Commit(request);
  request.context.__set_deadline_ms(200);
  (void)Commit(request);
  ASSERT_EQ(backend_.requests.size(), 2u);
  EXPECT_EQ(std::get<txn::CommitRequest>(backend_.requests[0]).answer_within, Duration());
  EXPECT_EQ(std::get<txn::CommitRequest>(backend_.requests[1]).answer_within,
            Duration::Millis(200));
  backend_.requests.clear();
  for (const int32_t wrong : {0, -1}) {
    request.context.__set_deadline_ms(wrong);
    ExpectInvalid(request, "deadline_ms");
  }
}

TEST_F(CoordinatorServiceTest, Deadline_GoesToTheCore_WithEveryCallThatMayWait) {
  wire::CallContext context = Request().context;
  context.__set_deadline_ms(70);
  wire::RollbackRequest rollback;
  rollback.context = context;
  rollback.gtid = Request().gtid;
  service_.rollback([](const wire::OutcomeReply&) {}, rollback);
  wire::EnlistRequest enlist;
  enlist.context = context;
  enlist.branch.gtid = Request().gtid;
  enlist.branch.resource = "bank";
  enlist.branch.number = 1;
  service_.enlist([](const wire::Result&) {}, enlist);
  wire::OutcomeRequest outcome;
  outcome.context = context;
  outcome.gtid = Request().gtid;
  service_.outcome([](const wire::OutcomeReply&) {}, outcome);
  ASSERT_EQ(backend_.requests.size(), 3u);
  const Duration wanted = Duration::Millis(70);
  EXPECT_EQ(std::get<txn::RollbackRequest>(backend_.requests[0]).answer_within, wanted);
  EXPECT_EQ(std::get<txn::EnlistRequest>(backend_.requests[1]).answer_within, wanted);
  EXPECT_EQ(std::get<txn::OutcomeRequest>(backend_.requests[2]).answer_within, wanted);
}

TEST_F(CoordinatorServiceTest, NumbersOutOfRange_AreInvalidWithTheReason) {
  wire::CommitRequest request = Request();
  for (const int32_t wrong : {0, -1}) {
    request.timeout_ms = wrong;
    ExpectInvalid(request, "timeout_ms");
  }
  request = Request();
  for (const int wrong : {0, 7}) {
    request.mode = static_cast<wire::CommitMode::type>(wrong);
    ExpectInvalid(request, "no mode");
  }
}

TEST_F(CoordinatorServiceTest, MoreGtidsThanABlockHas_AreTruncatedInTheReply) {
  backend_.reply = txn::GtidBlockReply{Gtid{GroupId(1), Term(1), 1}, 10'000, 120'000};
  wire::BeginRequest request;
  request.context = Request().context;
  request.count = 65'537;
  wire::BeginReply reply;
  service_.allocateGtids([&reply](const wire::BeginReply& said) { reply = said; },
                         request);
  EXPECT_EQ(reply.result.code, Code::OK);
  EXPECT_EQ(reply.count, 10'000);
  EXPECT_EQ(std::get<txn::AllocateGtidsRequest>(backend_.requests[0]).count, 65'537u);
}

}  // namespace
}  // namespace concordat::rpc
