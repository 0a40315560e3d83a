// A participant: serves one or more resource managers to the coordinators and to
// clients. What a service links to take part in global transactions itself.
//
//   auto link = ChannelLink::Create(loop, {"10.0.0.1:7070"}, {});
//   ParticipantOptions options;
//   options.advertise = "10.0.0.9:7080";             // where the server below is reached
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
// Without sockets: hand in a CoordinatorLink that calls a coordinator in this process,
// and let that coordinator and the clients call the methods of the service (execute,
// prepare, …) directly, on the loop's thread.
//
// Start asks a coordinator for the cluster's id until one answers, has the resource
// managers recover, then registers the resources and repeats that as a heartbeat. Until
// they are registered, calls are answered UNAVAILABLE: the coordinators may know that
// this is not the right store, or an old copy of it, and then not one "not there" may be
// said of a branch. Each start draws a new incarnation for each resource, so that branch
// ids are never used twice.
//
// While there is work the stores get new generations (ResourceManager::SetGeneration) and
// the generations told to the coordinators. If a store turns out to have gone back,
// nothing is served from then on: calls are answered UNAVAILABLE with the reason,
// `concordat status` lists it.
//
// Stop refuses new work, rolls back branches that have not voted and closes the
// resource managers; prepared branches stay on disk, in doubt, and are there again at
// the next start.
//
// The rules of the protocol are in core/branch_table.h. Everything here is for the
// loop's thread; resource managers may call back on any.
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
  // Where coordinators and clients reach this participant, for the registry.
  std::string advertise;
  BranchTableOptions branches;
  // A call that names no deadline is given up, and its branch rolled back, after this.
  Duration default_call_time = Duration::Seconds(30);
  Duration max_call_time = Duration::Seconds(600);
  // Calls that are being carried out; one more is OVERLOADED.
  size_t max_calls = 10'000;
  // Operations or statements in one call, and bytes of one SQL statement; more is
  // INVALID.
  size_t max_operations = 4096;
  size_t max_statement_bytes = 256 << 10;
  // Resources whose name is to be taken from the store that has it, which is lost: see
  // ResourceManager::store_id.
  std::set<std::string> replace_stores;
  // Between tries to reach a coordinator.
  Duration retry = Duration::Millis(300);
  // How often a store in which there is work gets a new generation
  // (ResourceManager::SetGeneration): an old copy of it is told from it when a generation
  // lies between.
  Duration generation_interval = Duration::Seconds(5);
  // Branches asked about in one call.
  size_t max_inquiries = 1000;
};

struct ResourceStats {
  std::string name;
  BranchTableStats branches;
};

class Participant final : public wire::ParticipantServiceCobSvIf {
 public:
  // The loop must outlive it.
  Participant(rpc::EventLoop* loop, std::unique_ptr<CoordinatorLink> link,
              ParticipantOptions options);
  // Closes resource managers that Stop has not closed; may block for a flush.
  ~Participant() override;

  // Before Start. INVALID_ARGUMENT: not a resource name (see IsValidResourceName);
  // ALREADY_EXISTS.
  [[nodiscard]] absl::Status AddResource(std::string name,
                                         std::unique_ptr<ResourceManager> manager);
  // Where it is reached, when that is known only after listening. Before Start.
  void SetAdvertise(std::string address) { options_.advertise = std::move(address); }

  // `ready` runs once: OK when the resources are recovered and registered; otherwise
  // the first resource's error, after which nothing is served.
  void Start(absl::AnyInvocable<void(absl::Status)> ready);
  // `done` runs when all is closed and all calls are answered.
  void Stop(absl::AnyInvocable<void()> done);

  // For rpc::Server.
  [[nodiscard]] static std::shared_ptr<apache::thrift::async::TAsyncProcessor>
  MakeProcessor(std::shared_ptr<Participant> participant);

  // The cluster, once a coordinator has told it; 0 before.
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
    bool in_batch = false;
    // Until it is registered: what Recover and OnFound have told.
    std::vector<RecoveredBranch> prepared = {};
    std::vector<FoundResult> found = {};
    uint64_t generation = 0;  // that is in the store
    bool worked = false;      // a branch was voted on or ended since the last generation
    bool advancing = false;   // SetGeneration runs
    Timestamp advance_at = {};  // the earliest time of the next
  };
  // Who waits for an answer of a branch table. Each kind knows how to say it.
  class Waiter;
  class ExecuteWaiter;
  class PrepareBatch;
  class FinishBatch;
  class OnePhaseWaiter;
  // Items of one list share a waiter.
  struct Slot {
    std::shared_ptr<Waiter> waiter;
    uint32_t index = 0;
    BranchId branch;
    std::shared_ptr<const wire::ExecuteRequest> request;  // of execute
  };

  // participant_service.cc
  [[nodiscard]] wire::Result CheckContext(const wire::CallContext& context) const;
  [[nodiscard]] wire::Result CheckExecute(const wire::ExecuteRequest& request) const;
  // Starts a branch if the call wants one. Fills `branch` when the result is OK.
  [[nodiscard]] wire::Result FindBranch(const wire::ExecuteRequest& request,
                                        BranchId* branch);
  [[nodiscard]] wire::Result StartBranch(const wire::ExecuteRequest& request,
                                         BranchId* branch);
  [[nodiscard]] wire::Result StartApplicationManagedBranch(
      const wire::ExecuteRequest& request, wire::ExecuteReply* reply);
  // What both of them check first.
  [[nodiscard]] wire::Result CheckStart(const wire::ExecuteRequest& request, Gtid* gtid,
                                        StartOptions* options, Resource** resource);
  [[nodiscard]] Resource* FindResource(std::string_view name);
  [[nodiscard]] Timestamp DeadlineOf(const wire::CallContext& context) const;
  template <class Batch, class Reply, class Ask>
  void HandleList(std::function<void(const Reply&)> cob, const wire::BranchList& request,
                  Ask ask);
  [[nodiscard]] RequestToken AddSlot(Slot slot);

  // participant.cc
  // Carries out what the branch tables want until nothing is left. At the end of the
  // loop's iteration, so that everything that arrived together goes together.
  void ScheduleDrain();
  void Drain();
  void HandleResult(InboxItem* item);
  [[nodiscard]] bool CarryOut(size_t index);
  void BeginBatch(size_t index);
  void EndBatches();
  void CarryOutCommand(size_t index, const Command& command);
  void RunExecute(size_t index, const Command& command);
  void DeliverAnswer(Answer* answer);
  void LogEvents(const std::vector<Event>& events);
  void OnTimer();

  // participant_session.cc
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

  // participant_generation.cc
  void AdvanceGenerations();
  void OnGenerationSet(Resource* resource, GenerationResult result);
  void EndServing(std::string why);

  void CloseManagers();

  rpc::EventLoop* const loop_;
  ParticipantOptions options_;
  std::unique_ptr<CoordinatorLink> link_;
  std::shared_ptr<Inbox> inbox_;
  std::vector<Resource> resources_;
  absl::flat_hash_map<std::string, size_t> by_name_;

  std::vector<Slot> slots_;  // a token is an index + 1
  std::vector<uint32_t> free_slots_;
  size_t running_calls_ = 0;
  bool drain_scheduled_ = false;
  bool batch_end_scheduled_ = false;

  ClusterId cluster_;
  absl::AnyInvocable<void(absl::Status)> ready_;
  size_t to_recover_ = 0;
  bool registered_ = false;
  std::string quarantine_;         // why nothing is served, in phase kFailed
  bool quarantined_here_ = false;  // not by the coordinators: they are told
  bool register_failed_before_ = false;
  LogLimit waiting_;  // for a coordinator
  LogLimit not_registered_;
  LogLimit registered_again_;
  Duration heartbeat_ = Duration::Seconds(1);
  rpc::TimerId timer_;
  enum class Phase : uint8_t { kNew, kStarting, kServing, kFailed, kStopped };
  Phase phase_ = Phase::kNew;
  // Callbacks of timers and of the link that come after the end find it gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_PARTICIPANT_H_
