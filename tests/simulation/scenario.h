// Scripted schedules: the world of a random run, in which a test decides what happens:
// hold a message, kill a node, release the message.
//
//   Scenario s;
//   CoordinatorNode& leader = s.Elect();
//   Transfer t = s.BeginTransfer();                    // gtid, debit, credit
//   s.Hold([](const Packet& p) { return IsVote(p); });
//   auto commit = s.Commit(leader, t);                 // sends the request
//   s.RunUntil([&] { return s.judge().IsStaged(t.gtid); });
//   s.Kill(leader);
//   s.LetGo();
//   EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kCommitted);
//   s.Finish();                                        // all ends; checks the money
//
// The judge and Raft's checker watch as in a random run, and Finish (or the
// destructor) fails the test with what they found.
#ifndef TESTS_SIMULATION_SCENARIO_H_
#define TESTS_SIMULATION_SCENARIO_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/caller.h"
#include "tests/simulation/coordinator_calls.h"
#include "tests/simulation/simulation.h"

namespace concordat::simulation {

// --- What a packet is ----------------------------------------------------------------

using Pick = std::function<bool(const Packet&)>;

[[nodiscard]] bool IsVerb(const Packet& packet, txn::Verb verb);
[[nodiscard]] bool IsVote(const Packet& packet);  // an answer to PREPARE
[[nodiscard]] bool IsAcknowledgement(const Packet& packet, txn::Verb verb);
// An append with at least one entry.
[[nodiscard]] bool IsAppend(const Packet& packet);
// An append with a record of that type: STAGED, DECIDED, …
template <class Record>
[[nodiscard]] bool CarriesRecord(const Packet& packet);
[[nodiscard]] bool IsInquiry(const Packet& packet);

// A client that sends what the test orders, and keeps the answers.
class ScriptedClient final : public Process {
 public:
  ScriptedClient(World* world, const Directory* directory)
      : caller_(world), calls_(world, directory, &caller_, world->NewSeed()) {}
  void SetProcess(ProcessId id) {
    caller_.SetProcess(id);
    calls_.SetProcess(id);
  }
  void Start() override {}
  void Crash(bool) override { caller_.Clear(); }
  void Receive(const Packet& packet) override { (void)caller_.OnReply(packet); }
  [[nodiscard]] Caller& caller() { return caller_; }
  [[nodiscard]] CoordinatorCalls& calls() { return calls_; }

 private:
  Caller caller_;
  CoordinatorCalls calls_;
};

// A request; null until its answer has arrived, which may be never.
template <class Reply>
using Asked = std::shared_ptr<std::optional<Reply>>;

struct Transfer {
  Gtid gtid;
  std::vector<BranchId> branches;
  int64_t amount = 0;
};

class Scenario {
 public:
  explicit Scenario(const Settings& settings = Settings::Quiet());
  // Fails the test when the judge or Raft's checker has found something.
  ~Scenario();

  [[nodiscard]] Simulation& simulation() { return simulation_; }
  [[nodiscard]] World& world() { return simulation_.world(); }
  [[nodiscard]] Judge& judge() { return simulation_.judge(); }
  [[nodiscard]] CoordinatorNode& node(size_t i) { return simulation_.node(i); }
  [[nodiscard]] ParticipantProcess& bank(size_t i) { return simulation_.participant(i); }
  [[nodiscard]] ProcessId client() const { return client_process_; }
  [[nodiscard]] uint64_t Count(Rare path) { return world().rare().Of(path); }

  // --- Time.

  // True when the condition came true within the limit.
  bool RunUntil(const std::function<bool()>& condition,
                Duration limit = Duration::Seconds(20));
  void RunFor(Duration span) { world().RunFor(span); }
  void RunForMillis(int64_t ms) { world().RunFor(Duration::Millis(ms)); }

  // --- Coordinators.

  // Runs until a leader is ready; the test fails when there is none.
  CoordinatorNode& Elect();
  // Runs until another node than `than` is a ready leader.
  CoordinatorNode& ElectOther(const CoordinatorNode& than);
  // All nodes but `than`.
  [[nodiscard]] std::vector<CoordinatorNode*> Others(const CoordinatorNode& than);
  void Kill(const CoordinatorNode& node, bool power = true) {
    world().Kill(node.process(), power);
  }
  void Restart(const CoordinatorNode& node) { world().Start(node.process()); }
  // Cuts it off from its peers only: clients and participants still reach it.
  void CutFromPeers(const CoordinatorNode& node);
  void Reconnect(const CoordinatorNode& node);

  // --- Participants.

  void KillBank(size_t i, bool power = true) { world().Kill(bank(i).process(), power); }
  void RestartBank(size_t i) { world().Start(bank(i).process()); }
  [[nodiscard]] std::optional<BranchFact> FactOf(const BranchId& branch) {
    return judge().FactOf(branch);
  }

  // --- Packets. The newest rule that matches decides.

  void Hold(Pick pick);
  void Drop(Pick pick);
  void CopyTo(std::vector<Packet>* copies, Pick pick);
  // Both remove all rules. LetGo() delivers the packets that were held, DropHeld() drops
  // them.
  void LetGo();
  void DropHeld();
  // Delivers the held packets that the predicate picks; returns how many.
  size_t Release(const Pick& pick) { return world().network().ReleaseHeld(pick); }
  [[nodiscard]] size_t HeldCount() { return world().network().held().size(); }
  // Delivers a packet (again), at once.
  void Deliver(const Packet& packet);

  // --- The client's requests. They return at once.

  Asked<OutcomeReply> Commit(const CoordinatorNode& at, const Gtid& gtid,
                             std::vector<BranchId> branches,
                             CommitMode mode = CommitMode::kDecided,
                             uint64_t timeout_ms = 5000);
  Asked<OutcomeReply> Commit(const CoordinatorNode& at, const Transfer& transfer,
                             CommitMode mode = CommitMode::kDecided,
                             uint64_t timeout_ms = 5000) {
    return Commit(at, transfer.gtid, transfer.branches, mode, timeout_ms);
  }
  // As the client library does: asks one node after the other until one knows the
  // outcome.
  Asked<OutcomeReply> CommitAnywhere(const Transfer& transfer,
                                     CommitMode mode = CommitMode::kDecided);
  Asked<OutcomeReply> Rollback(const CoordinatorNode& at, const Transfer& transfer);
  Asked<OutcomeReply> AskOutcome(const CoordinatorNode& at, const Gtid& gtid);
  Asked<EnlistReply> Enlist(const CoordinatorNode& at, const BranchId& branch);
  Asked<InquiryReply> Inquire(const CoordinatorNode& at, const BranchId& branch);
  Asked<OnePhaseReply> CommitOnePhase(const BranchId& branch);

  // --- Requests that wait for the answer; the test fails when none arrives.

  Gtid Begin();
  // Starts a branch at a bank and does its writes.
  BranchId Work(size_t bank, const Gtid& gtid, std::vector<Write> writes);
  Code TryWork(size_t bank, const Gtid& gtid, std::vector<Write> writes,
               BranchId* branch);
  // Begins to move `amount` from an account of bank `from` to one of bank `to`.
  Transfer BeginTransfer(size_t from = 0, size_t to = 1, int64_t amount = 7);
  template <class Reply>
  Reply Await(const Asked<Reply>& asked, Duration limit = Duration::Seconds(20)) {
    EXPECT_TRUE(RunUntil([&] { return asked->has_value(); }, limit)) << "no answer came";
    return asked->value_or(Reply());
  }

  // Heals everything, waits until all transactions have ended, and checks the money.
  void Finish();

 private:
  enum class Rule : uint8_t { kHold, kDrop, kCopy };
  struct Filter {
    Rule rule;
    Pick pick;
    std::vector<Packet>* copies;
  };

  void InstallFilter();
  template <class Reply>
  Asked<Reply> Ask(ProcessId to, Payload payload);
  // Also reports the answer to the judge.
  Asked<OutcomeReply> AskCoordinator(ProcessId to, const Gtid& gtid, Payload payload);

  Simulation simulation_;
  ScriptedClient client_;
  ProcessId client_process_;
  std::vector<Filter> filters_;
};

// --- Templates -----------------------------------------------------------------------

template <class Record>
bool CarriesRecord(const Packet& packet) {
  const auto* message = As<raft::Message>(packet);
  if (message == nullptr) return false;
  const auto* append = std::get_if<raft::AppendRequest>(&message->body);
  if (append == nullptr) return false;
  for (const raft::Entry& entry : append->entries) {
    if (entry.type != raft::EntryType::kCommand) continue;
    const auto command = group::SplitCommand(entry.data.view());
    if (!command.ok() || command->machine != txn::kMachine) continue;
    const auto record = txn::DecodeRecord(command->command);
    if (record.ok() && std::holds_alternative<Record>(*record)) return true;
  }
  return false;
}

template <class Reply>
Asked<Reply> Scenario::Ask(ProcessId to, Payload payload) {
  auto asked = std::make_shared<std::optional<Reply>>();
  client_.caller().Call(to, std::move(payload), Duration::Seconds(3600),
                        [asked](const Payload* reply) {
                          if (const auto* typed = ReplyAs<Reply>(reply)) *asked = *typed;
                        });
  return asked;
}

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_SCENARIO_H_
