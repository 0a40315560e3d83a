// A participant: serves one or more resource managers to the coordinators and to clients.
// A service links it to take part in global transactions itself.
//
//   auto link = ChannelLink::Create(loop, {"10.0.0.1:7070"}, {});
//   ParticipantOptions options;
//   options.advertise = "10.0.0.9:7080";             // the address of the server below
//   auto participant = std::make_shared<Participant>(loop, *std::move(link), options);
//   participant->AddResource("bank-a",
//                            std::make_unique<kv::KvResourceManager>("/var/lib/bank-a"));
//   rpc::Server server(loop, Participant::MakeProcessor(participant));
//   server.Listen(*rpc::Address::Parse("10.0.0.9:7080"));
//   participant->Start([](absl::Status ready) { ... });
//   loop->Run();
//   // later, on the loop's thread:
//   participant->Stop([&] { loop->Stop(); });
//
// Without sockets: pass a CoordinatorLink that calls a coordinator in this process, and
// let this coordinator and the clients call the methods of the service (execute, prepare,
// …) directly, on the loop's thread.
//
// Start asks a coordinator for the cluster's id until one answers, lets the resource
// managers recover, then registers the resources, and repeats this as a heartbeat. Until
// they are registered, calls are answered UNAVAILABLE: the coordinators may know that
// this is the wrong store, or an old copy of it, and then the participant must not say of
// any branch that it is not there. Each start draws a new incarnation for each resource,
// so that branch ids are never used twice.
//
// While there is work, the participant gives the stores new generations
// (ResourceManager::SetGeneration) and reports them to the coordinators. If a store turns
// out to be an older copy, nothing is served from then on: calls are answered UNAVAILABLE
// with the reason, and `concordat status` lists it.
//
// Stop refuses new work, rolls back branches that have not voted, and closes the resource
// managers. Prepared branches stay on disk, in doubt, and are there again at the next
// start.
//
// The rules of the protocol are in core/branch_table.h. All functions are for the loop's
// thread; resource managers may call back on any thread.
#ifndef PARTICIPANT_SDK_PARTICIPANT_H_
#define PARTICIPANT_SDK_PARTICIPANT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "concordat_wire/ParticipantService.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/base/log_limit.h"
#include "participant/sdk/coordinator_link.h"
#include "participant/sdk/core/branch_table.h"
#include "participant/sdk/inbox.h"
#include "participant/sdk/resource_manager.h"
#include "thrift/rpc/event_loop.h"

namespace apache::thrift::async {
class TAsyncProcessor;
}

namespace concordat::participant {

struct ParticipantOptions {
  // The address at which coordinators and clients reach this participant; for the
  // registry.
  std::string advertise;
  BranchTableOptions branches;
  // A call without a deadline ends after this time, and its branch is rolled back.
  Duration default_call_time = Duration::Seconds(30);
  Duration max_call_time = Duration::Seconds(600);
  // How many calls may run at once; one more gets OVERLOADED.
  size_t max_calls = 10'000;
  // How many operations or statements one call may have, and how many bytes one SQL
  // statement; more is INVALID.
  size_t max_operations = 4096;
  size_t max_statement_bytes = 256 << 10;
  // Resources whose name is to be taken from the store that has it, because that store is
  // lost: see ResourceManager::store_id.
  std::set<std::string> replace_stores;
  // The pause between attempts to reach a coordinator.
  Duration retry = Duration::Millis(300);
  // How often a store gets a new generation while there is work. An older copy of the
  // store is recognized if a new generation was written after the copy was made.
  Duration generation_interval = Duration::Seconds(5);
  // How many branches one inquiry may ask about.
  size_t max_inquiries = 1000;
};

struct ResourceStats {
  std::string name;
  BranchTableStats branches;
};

class Participant final : public wire::ParticipantServiceCobSvIf {
 public:
  // The loop must outlive the participant.
  Participant(rpc::EventLoop* loop, std::unique_ptr<CoordinatorLink> link,
              ParticipantOptions options);
  // Closes the resource managers that Stop has not closed; this may block for a flush.
  ~Participant() override;

  // Must be called before Start. INVALID_ARGUMENT: not a resource name (see
  // IsValidResourceName). ALREADY_EXISTS: a resource of this name was added before.
  [[nodiscard]] absl::Status AddResource(std::string name,
                                         std::unique_ptr<ResourceManager> manager);
  // Sets `advertise` when the address is known only after listening. Before Start.
  void SetAdvertise(std::string address) { options_.advertise = std::move(address); }

  // `ready` runs once: with OK when the resources are recovered and registered; otherwise
  // with the first resource's error, after which nothing is served.
  void Start(absl::AnyInvocable<void(absl::Status)> ready);
  // `done` runs when everything is closed and all calls are answered.
  void Stop(absl::AnyInvocable<void()> done);

  // Makes the processor for rpc::Server.
  [[nodiscard]] static std::shared_ptr<apache::thrift::async::TAsyncProcessor>
  MakeProcessor(std::shared_ptr<Participant> participant);

  // The cluster's id, once a coordinator has told it; 0 before.
  [[nodiscard]] ClusterId cluster() const { return cluster_; }
  [[nodiscard]] std::vector<ResourceStats> Stats() const;

  // --- ParticipantService ---
  void execute(std::function<void(const wire::ExecuteReply&)> cob,
               const wire::ExecuteRequest& request) override;
  void prepare(std::function<void(const wire::PrepareReply&)> cob,
               const wire::BranchList& request) override;
  void commit(std::function<void(const wire::FinishReply&)> cob,
              const wire::BranchList& request) override;
  void rollback(std::function<void(const wire::FinishReply&)> cob,
                const wire::BranchList& request) override;
  void commitOnePhase(std::function<void(const wire::OnePhaseReply&)> cob,
                      const wire::BranchList& request) override;
  void recover(std::function<void(const wire::RecoverReply&)> cob,
               const wire::CallContext& context) override;

 private:
  struct Resource {
    std::unique_ptr<ResourceManager> manager;
    std::unique_ptr<BranchTable> table;
    bool in_batch = false;  // between BeginBatch and EndBatch
    // What Recover and OnFound have reported before the registration.
    std::vector<RecoveredBranch> prepared = {};
    std::vector<FoundResult> found = {};
    uint64_t generation = 0;  // the one in the store
    bool worked = false;      // a branch was voted on or ended since the last generation
    bool advancing = false;   // SetGeneration runs
    Timestamp advance_at = {};  // the earliest time of the next generation
  };
  // A caller that waits for an answer of a branch table, and sends it in its own form.
  class Waiter;
  class ExecuteWaiter;
  class PrepareBatch;
  class FinishBatch;
  class OnePhaseWaiter;
  // A token's place in slots_. Items of one list share a waiter.
  struct Slot {
    std::shared_ptr<Waiter> waiter;
    uint32_t index = 0;  // in the list of the request
    BranchId branch;
    std::shared_ptr<const wire::ExecuteRequest> request;  // of execute; otherwise null
  };

  // --- calls (participant_service.cc) ---
  [[nodiscard]] wire::Result CheckContext(const wire::CallContext& context) const;
  [[nodiscard]] wire::Result CheckExecute(const wire::ExecuteRequest& request) const;
  // Starts a branch if the call asks for one. Fills `branch` when the result is OK.
  [[nodiscard]] wire::Result FindBranch(const wire::ExecuteRequest& request,
                                        BranchId* branch);
  [[nodiscard]] wire::Result StartBranch(const wire::ExecuteRequest& request,
                                         BranchId* branch);
  [[nodiscard]] wire::Result StartApplicationManagedBranch(
      const wire::ExecuteRequest& request, wire::ExecuteReply* reply);
  // Checks what both of them must check first.
  [[nodiscard]] wire::Result CheckStart(const wire::ExecuteRequest& request, Gtid* gtid,
                                        StartOptions* options, Resource** resource);
  [[nodiscard]] Resource* FindResource(std::string_view name);
  [[nodiscard]] Timestamp DeadlineOf(const wire::CallContext& context) const;
  template <class Batch, class Reply, class Ask>
  void HandleList(std::function<void(const Reply&)> cob, const wire::BranchList& request,
                  Ask ask);
  [[nodiscard]] RequestToken AddSlot(Slot slot);

  // --- results and commands (participant.cc) ---
  // Executes what the branch tables ask for until nothing is left. This happens at the
  // end of the loop's iteration, so that everything that arrived together goes together.
  void ScheduleDrain();
  void Drain();
  void HandleResult(InboxItem* item);
  [[nodiscard]] bool ProcessOutput(size_t index);
  void BeginBatch(size_t index);
  void EndBatches();
  void RunCommand(size_t index, const Command& command);
  void RunExecute(size_t index, const Command& command);
  void DeliverAnswer(Answer* answer);
  void LogEvents(const std::vector<Event>& events);
  void OnTimer();

  // --- start, registration, inquiries, stop (participant_session.cc) ---
  void Handshake();
  void OnCluster(ClusterId cluster);
  void OnRecovered(size_t index, RecoverResult result);
  void OnFound(BranchTable* table, const FoundResult& found);
  void RegisterResources();
  void BeginServing();
  void Quarantine(const absl::Status& why);
  void LogRefusedBranches() const;
  void OnRegistered(absl::StatusOr<wire::RegisterReply> reply);
  void SendInquiries(std::vector<BranchId> branches);
  void OnInquiryReply(const std::vector<BranchId>& asked,
                      const absl::StatusOr<wire::InquiryReply>& reply);
  void ReportReady(absl::Status status);

  void RunAfter(Duration delay, void (Participant::*method)());

  // --- generations of the stores (participant_generation.cc) ---
  void AdvanceGenerations();
  void OnGenerationSet(Resource* resource, GenerationResult result);
  void EndServing(std::string why);

  void CloseManagers();

  rpc::EventLoop* const loop_;  // not owned; all functions run on its thread
  ParticipantOptions options_;
  std::unique_ptr<CoordinatorLink> link_;  // sends to the coordinators
  std::shared_ptr<Inbox> inbox_;           // receives the resource managers' results
  std::vector<Resource> resources_;
  absl::flat_hash_map<std::string, size_t> by_name_;  // index in resources_

  std::vector<Slot> slots_;           // a token is an index + 1
  std::vector<uint32_t> free_slots_;  // unused indexes of slots_
  size_t running_calls_ = 0;          // Execute calls without an answer
  bool drain_scheduled_ = false;      // Drain will run in this iteration
  bool batch_end_scheduled_ = false;  // EndBatches will run in this iteration

  ClusterId cluster_;                             // 0: not known yet
  absl::AnyInvocable<void(absl::Status)> ready_;  // of Start; empty when it was called
  size_t to_recover_ = 0;                         // resources that have not recovered
  bool registered_ = false;        // the coordinators have accepted the resources once
  std::string quarantine_;         // why nothing is served, in phase kFailed
  bool quarantined_here_ = false;  // not by the coordinators: they are told
  bool register_failed_before_ = false;  // the last registration failed
  LogLimit waiting_;                     // for a coordinator
  LogLimit not_registered_;
  LogLimit registered_again_;
  Duration heartbeat_ = Duration::Seconds(1);  // between registrations
  rpc::TimerId timer_;                         // of scan_interval
  enum class Phase : uint8_t { kNew, kStarting, kServing, kFailed, kStopped };
  Phase phase_ = Phase::kNew;
  Lifetime lifetime_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_PARTICIPANT_H_
