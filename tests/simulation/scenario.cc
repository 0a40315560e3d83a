#include "tests/simulation/scenario.h"

#include <iostream>
#include <utility>

#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"

namespace concordat::simulation {

bool IsVerb(const Packet& packet, txn::Verb verb) {
  const auto* call = As<VerbCall>(packet);
  return call != nullptr && call->verb == verb;
}

bool IsVote(const Packet& packet) {
  const auto* reply = As<VerbReply>(packet);
  return reply != nullptr && reply->verb == txn::Verb::kPrepare;
}

bool IsAcknowledgement(const Packet& packet, txn::Verb verb) {
  const auto* reply = As<VerbReply>(packet);
  return reply != nullptr && reply->verb == verb;
}

bool IsAppend(const Packet& packet) {
  const auto* message = As<raft::Message>(packet);
  if (message == nullptr) return false;
  const auto* append = std::get_if<raft::AppendRequest>(&message->body);
  return append != nullptr && !append->entries.empty();
}

bool IsInquiry(const Packet& packet) { return As<InquiryCall>(packet) != nullptr; }

Scenario::Scenario(const Settings& settings)
    : simulation_(settings), client_(&world(), &simulation_.directory()) {
  world().KeepHistory(300);
  LinkQuality quality;
  quality.min_delay = quality.max_delay = Duration::Micros(100);
  world().network().SetQuality(quality);
  client_process_ = world().AddProcess("client", &client_);
  client_.SetProcess(client_process_);
  world().Start(client_process_);
  simulation_.StartAll();
}

Scenario::~Scenario() {
  if (world().failed()) {
    ADD_FAILURE() << world().failure() << "\nits last events:\n"
                  << absl::StrJoin(world().history(), "\n");
  } else if (::testing::Test::HasFailure()) {
    std::cout << "last events:\n" << absl::StrJoin(world().history(), "\n") << '\n';
  }
}

// --- Time ------------------------------------------------------------------------------

bool Scenario::RunUntil(const std::function<bool()>& condition, Duration limit) {
  const Timestamp end = world().now() + limit;
  while (!condition()) {
    if (world().now() >= end || !world().Step()) return false;
  }
  return true;
}

// --- Coordinators ----------------------------------------------------------------------

CoordinatorNode& Scenario::Elect() {
  CoordinatorNode* leader = nullptr;
  RunUntil([&] {
    leader = simulation_.Leader();
    return leader != nullptr && leader->IsReadyLeader();
  });
  EXPECT_TRUE(leader != nullptr && leader->IsReadyLeader()) << "nobody leads";
  CONCORDAT_CHECK(leader != nullptr) << "nobody leads";
  return *leader;
}

CoordinatorNode& Scenario::ElectOther(const CoordinatorNode& than) {
  CoordinatorNode* leader = nullptr;
  RunUntil([&] {
    leader = simulation_.Leader();
    return leader != nullptr && leader != &than && leader->IsReadyLeader();
  });
  CONCORDAT_CHECK(leader != nullptr && leader != &than) << "nobody else leads";
  EXPECT_TRUE(leader->IsReadyLeader());
  return *leader;
}

std::vector<CoordinatorNode*> Scenario::Others(const CoordinatorNode& than) {
  std::vector<CoordinatorNode*> others;
  for (size_t i = 0; i < simulation_.node_count(); ++i) {
    if (&node(i) != &than) others.push_back(&node(i));
  }
  return others;
}

void Scenario::CutFromPeers(const CoordinatorNode& node) {
  for (const CoordinatorNode* other : Others(node)) {
    world().network().Block(node.process(), other->process());
    world().network().Block(other->process(), node.process());
  }
}

void Scenario::Reconnect(const CoordinatorNode& node) {
  for (const CoordinatorNode* other : Others(node)) {
    world().network().Unblock(node.process(), other->process());
    world().network().Unblock(other->process(), node.process());
  }
}

// --- Packets ---------------------------------------------------------------------------

void Scenario::InstallFilter() {
  world().network().SetFilter([this](const Packet& packet) {
    for (auto filter = filters_.rbegin(); filter != filters_.rend(); ++filter) {
      if (!filter->pick(packet)) continue;
      if (filter->rule == Rule::kHold) return Fate::kHold;
      if (filter->rule == Rule::kDrop) return Fate::kDrop;
      filter->copies->push_back(packet);
    }
    return Fate::kDeliver;
  });
}

void Scenario::Hold(Pick pick) {
  filters_.push_back({Rule::kHold, std::move(pick), nullptr});
  InstallFilter();
}

void Scenario::Drop(Pick pick) {
  filters_.push_back({Rule::kDrop, std::move(pick), nullptr});
  InstallFilter();
}

void Scenario::CopyTo(std::vector<Packet>* copies, Pick pick) {
  filters_.push_back({Rule::kCopy, std::move(pick), copies});
  InstallFilter();
}

void Scenario::LetGo() {
  filters_.clear();
  world().network().SetFilter(nullptr);
  Release([](const Packet&) { return true; });
}

void Scenario::DropHeld() {
  filters_.clear();
  world().network().SetFilter(nullptr);
  world().network().DropHeld();
}

void Scenario::Deliver(const Packet& packet) {
  std::vector<Filter> rules = std::exchange(filters_, {});
  world().network().Send(packet);
  filters_ = std::move(rules);
}

// --- Requests --------------------------------------------------------------------------

Asked<OutcomeReply> Scenario::AskCoordinator(ProcessId to, const Gtid& gtid,
                                             Payload payload) {
  auto asked = std::make_shared<std::optional<OutcomeReply>>();
  client_.caller().Call(to, std::move(payload), Duration::Seconds(3600),
                        [this, asked, gtid](const Payload* reply) {
                          const auto* outcome = ReplyAs<OutcomeReply>(reply);
                          if (outcome == nullptr) return;
                          *asked = *outcome;
                          if (outcome->code == Code::kOk)
                            judge().OnClientTold(gtid, outcome->outcome);
                        });
  return asked;
}

Asked<OutcomeReply> Scenario::Commit(const CoordinatorNode& at, const Gtid& gtid,
                                     std::vector<BranchId> branches, CommitMode mode,
                                     uint64_t timeout_ms) {
  return AskCoordinator(at.process(), gtid,
                        CommitCall{gtid, std::move(branches), mode, timeout_ms});
}

Asked<OutcomeReply> Scenario::CommitAnywhere(const Transfer& transfer, CommitMode mode) {
  auto asked = std::make_shared<std::optional<OutcomeReply>>();
  client_.calls().Outcome(
      CommitCall{transfer.gtid, transfer.branches, mode, 5000}, Timestamp::Infinite(),
      [this, asked, gtid = transfer.gtid](const OutcomeReply& reply, client::Verdict) {
        *asked = reply;
        if (reply.code == Code::kOk) judge().OnClientTold(gtid, reply.outcome);
      });
  return asked;
}

Asked<OutcomeReply> Scenario::Rollback(const CoordinatorNode& at,
                                       const Transfer& transfer) {
  return AskCoordinator(at.process(), transfer.gtid,
                        RollbackCall{transfer.gtid, transfer.branches});
}

Asked<OutcomeReply> Scenario::AskOutcome(const CoordinatorNode& at, const Gtid& gtid) {
  return AskCoordinator(at.process(), gtid, OutcomeCall{gtid});
}

Asked<EnlistReply> Scenario::Enlist(const CoordinatorNode& at, const BranchId& branch) {
  return Ask<EnlistReply>(at.process(), EnlistCall{branch});
}

Asked<InquiryReply> Scenario::Inquire(const CoordinatorNode& at, const BranchId& branch) {
  return Ask<InquiryReply>(at.process(), InquiryCall{{branch}});
}

Asked<OnePhaseReply> Scenario::CommitOnePhase(const BranchId& branch) {
  return Ask<OnePhaseReply>(simulation_.directory().resources.at(branch.resource),
                            OnePhaseCall{branch});
}

Gtid Scenario::Begin() {
  std::optional<Gtid> gtid;
  client_.calls().Begin(1, Timestamp::Infinite(),
                        [&gtid](const BeginReply& reply) { gtid = reply.first; });
  EXPECT_TRUE(RunUntil([&] { return gtid.has_value(); })) << "no gtid";
  return gtid.value_or(Gtid());
}

Code Scenario::TryWork(size_t bank_number, const Gtid& gtid, std::vector<Write> writes,
                       BranchId* branch) {
  ExecuteCall call;
  call.start = gtid;
  call.writes = std::move(writes);
  const auto asked = Ask<ExecuteReply>(bank(bank_number).process(), call);
  EXPECT_TRUE(RunUntil([&] { return asked->has_value(); })) << "no answer to the work";
  const ExecuteReply reply = asked->value_or(ExecuteReply());
  *branch = reply.branch;
  return reply.code;
}

BranchId Scenario::Work(size_t bank_number, const Gtid& gtid, std::vector<Write> writes) {
  BranchId branch;
  EXPECT_EQ(TryWork(bank_number, gtid, std::move(writes), &branch), Code::kOk);
  return branch;
}

Transfer Scenario::BeginTransfer(size_t from, size_t to, int64_t amount) {
  Transfer transfer;
  transfer.gtid = Begin();
  transfer.amount = amount;
  transfer.branches = {Work(from, transfer.gtid, {{0, -amount}}),
                       Work(to, transfer.gtid, {{1, amount}})};
  return transfer;
}

void Scenario::Finish() {
  LetGo();
  simulation_.Heal();
  simulation_.Settle();
  RunForMillis(100);
  if (!world().failed()) judge().CheckAllSettled();
  if (!world().failed()) simulation_.CheckMoney();
  EXPECT_FALSE(world().failed()) << world().failure();
}

}  // namespace concordat::simulation
