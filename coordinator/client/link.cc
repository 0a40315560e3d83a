#include "coordinator/client/link.h"

#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::client {

namespace {

// The message for a call without a reply.
template <class Reply>
std::string WhyNoReply(const std::string& address, const rpc::CallResult<Reply>& result,
                       const char* wanted) {
  if (wanted == nullptr || !result.is_other_server()) return result.error;
  return absl::StrCat(address, " answers, but is not ", wanted, ": ", result.error);
}

constexpr char kCoordinator[] =
    "a coordinator's client port (in --members it is the address after the slash)";
constexpr char kParticipant[] = "a participant";

template <class Reply>
wire::Result* ResultOf(Reply* reply) {
  if constexpr (std::is_same_v<Reply, wire::Result>) {
    return reply;
  } else {
    return &reply->result;
  }
}

// Calls one method. If there is no answer, makes a reply that says so.
template <class Pargs, class Presult, class Reply, class Request>
void Forward(rpc::Channel* channel, const char* method, Duration timeout,
             const Request& request, std::function<void(const Reply&)> cob,
             wire::Code::type not_executed = wire::Code::NOT_LEADER,
             const char* wanted = nullptr) {
  std::string address = wanted == nullptr ? "" : channel->address().ToString();
  channel->Call<Pargs, Presult, Reply>(
      method, request, timeout,
      [cob = std::move(cob), not_executed, wanted,
       address = std::move(address)](rpc::CallResult<Reply> result) {
        if (!result.ok()) {
          wire::Result* outcome = ResultOf(&result.reply);
          outcome->code = result.fault == rpc::CallFault::kTooLarge ? wire::Code::INVALID
                          : result.not_executed()                   ? not_executed
                                                                    : wire::Code::UNKNOWN;
          outcome->__set_message(WhyNoReply(address, result, wanted));
        }
        cob(result.reply);
      });
}

template <class Reply>
using Cob = std::function<void(const Reply&)>;

class CoordinatorProxy final : public CoordinatorLink {
 public:
  CoordinatorProxy(rpc::Channel* channel, Duration timeout)
      : channel_(channel), timeout_(timeout) {}

  void hello(Cob<wire::HelloReply> cob, const wire::CallContext& context) override {
    Forward<wire::CoordinatorService_hello_pargs, wire::CoordinatorService_hello_presult>(
        channel_, "hello", timeout_, context, std::move(cob), wire::Code::NOT_LEADER,
        kCoordinator);
  }
  void allocateGtids(Cob<wire::BeginReply> cob,
                     const wire::BeginRequest& request) override {
    Forward<wire::CoordinatorService_allocateGtids_pargs,
            wire::CoordinatorService_allocateGtids_presult>(
        channel_, "allocateGtids", timeout_, request, std::move(cob));
  }
  void commit(Cob<wire::OutcomeReply> cob, const wire::CommitRequest& request) override {
    Forward<wire::CoordinatorService_commit_pargs,
            wire::CoordinatorService_commit_presult>(channel_, "commit", timeout_,
                                                     request, std::move(cob));
  }
  void rollback(Cob<wire::OutcomeReply> cob,
                const wire::RollbackRequest& request) override {
    Forward<wire::CoordinatorService_rollback_pargs,
            wire::CoordinatorService_rollback_presult>(channel_, "rollback", timeout_,
                                                       request, std::move(cob));
  }
  void enlist(Cob<wire::Result> cob, const wire::EnlistRequest& request) override {
    Forward<wire::CoordinatorService_enlist_pargs,
            wire::CoordinatorService_enlist_presult>(channel_, "enlist", timeout_,
                                                     request, std::move(cob));
  }
  void outcome(Cob<wire::OutcomeReply> cob,
               const wire::OutcomeRequest& request) override {
    Forward<wire::CoordinatorService_outcome_pargs,
            wire::CoordinatorService_outcome_presult>(channel_, "outcome", timeout_,
                                                      request, std::move(cob));
  }
  void inquire(Cob<wire::InquiryReply> cob,
               const wire::InquiryRequest& request) override {
    Forward<wire::CoordinatorService_inquire_pargs,
            wire::CoordinatorService_inquire_presult>(channel_, "inquire", timeout_,
                                                      request, std::move(cob));
  }
  void registerResources(Cob<wire::RegisterReply> cob,
                         const wire::RegisterRequest& request) override {
    Forward<wire::CoordinatorService_registerResources_pargs,
            wire::CoordinatorService_registerResources_presult>(
        channel_, "registerResources", timeout_, request, std::move(cob));
  }
  void resolve(Cob<wire::ResolveReply> cob,
               const wire::ResolveRequest& request) override {
    Forward<wire::CoordinatorService_resolve_pargs,
            wire::CoordinatorService_resolve_presult>(channel_, "resolve", timeout_,
                                                      request, std::move(cob));
  }
  void status(Cob<wire::StatusReply> cob, const wire::CallContext& context) override {
    Forward<wire::CoordinatorService_status_pargs,
            wire::CoordinatorService_status_presult>(
        channel_, "status", timeout_, context, std::move(cob), wire::Code::NOT_LEADER,
        kCoordinator);
  }
  void listTransactions(Cob<wire::ListTransactionsReply> cob,
                        const wire::ListTransactionsRequest& request) override {
    Forward<wire::CoordinatorService_listTransactions_pargs,
            wire::CoordinatorService_listTransactions_presult>(
        channel_, "listTransactions", timeout_, request, std::move(cob));
  }
  void showTransaction(Cob<wire::ShowTransactionReply> cob,
                       const wire::OutcomeRequest& request) override {
    Forward<wire::CoordinatorService_showTransaction_pargs,
            wire::CoordinatorService_showTransaction_presult>(
        channel_, "showTransaction", timeout_, request, std::move(cob));
  }
  void listHeuristics(Cob<wire::ListHeuristicsReply> cob,
                      const wire::ListHeuristicsRequest& request) override {
    Forward<wire::CoordinatorService_listHeuristics_pargs,
            wire::CoordinatorService_listHeuristics_presult>(
        channel_, "listHeuristics", timeout_, request, std::move(cob));
  }
  void forgetHeuristic(Cob<wire::Result> cob,
                       const wire::ForgetHeuristicRequest& request) override {
    Forward<wire::CoordinatorService_forgetHeuristic_pargs,
            wire::CoordinatorService_forgetHeuristic_presult>(
        channel_, "forgetHeuristic", timeout_, request, std::move(cob));
  }
  void retireResource(Cob<wire::Result> cob,
                      const wire::RetireResourceRequest& request) override {
    Forward<wire::CoordinatorService_retireResource_pargs,
            wire::CoordinatorService_retireResource_presult>(
        channel_, "retireResource", timeout_, request, std::move(cob));
  }
  void members(Cob<wire::MembersReply> cob, const wire::CallContext& context) override {
    Forward<wire::CoordinatorService_members_pargs,
            wire::CoordinatorService_members_presult>(
        channel_, "members", timeout_, context, std::move(cob), wire::Code::NOT_LEADER,
        kCoordinator);
  }
  void changeMember(Cob<wire::ChangeMemberReply> cob,
                    const wire::ChangeMemberRequest& request) override {
    Forward<wire::CoordinatorService_changeMember_pargs,
            wire::CoordinatorService_changeMember_presult>(
        channel_, "changeMember", timeout_, request, std::move(cob));
  }

 private:
  rpc::Channel* const channel_;
  const Duration timeout_;
};

class ParticipantProxy final : public ParticipantLink {
 public:
  ParticipantProxy(rpc::Channel* channel, Duration timeout)
      : channel_(channel), timeout_(timeout) {}

  void execute(Cob<wire::ExecuteReply> cob,
               const wire::ExecuteRequest& request) override {
    Forward<wire::ParticipantService_execute_pargs,
            wire::ParticipantService_execute_presult>(
        channel_, "execute", TimeFor(request.context), request, std::move(cob),
        wire::Code::UNAVAILABLE, kParticipant);
  }
  void prepare(Cob<wire::PrepareReply> cob, const wire::BranchList& request) override {
    Forward<wire::ParticipantService_prepare_pargs,
            wire::ParticipantService_prepare_presult>(
        channel_, "prepare", timeout_, request, std::move(cob), wire::Code::UNAVAILABLE);
  }
  void commit(Cob<wire::FinishReply> cob, const wire::BranchList& request) override {
    Forward<wire::ParticipantService_commit_pargs,
            wire::ParticipantService_commit_presult>(
        channel_, "commit", timeout_, request, std::move(cob), wire::Code::UNAVAILABLE);
  }
  void rollback(Cob<wire::FinishReply> cob, const wire::BranchList& request) override {
    Forward<wire::ParticipantService_rollback_pargs,
            wire::ParticipantService_rollback_presult>(
        channel_, "rollback", timeout_, request, std::move(cob), wire::Code::UNAVAILABLE);
  }
  void commitOnePhase(Cob<wire::OnePhaseReply> cob,
                      const wire::BranchList& request) override {
    Forward<wire::ParticipantService_commitOnePhase_pargs,
            wire::ParticipantService_commitOnePhase_presult>(
        channel_, "commitOnePhase", timeout_, request, std::move(cob),
        wire::Code::UNAVAILABLE);
  }
  void recover(Cob<wire::RecoverReply> cob, const wire::CallContext& context) override {
    Forward<wire::ParticipantService_recover_pargs,
            wire::ParticipantService_recover_presult>(
        channel_, "recover", timeout_, context, std::move(cob), wire::Code::UNAVAILABLE);
  }

 private:
  // Work may wait for locks as long as the caller allows. A client that stopped waiting
  // for the answer at that moment would not learn the id of the branch it has started and
  // could not roll it back: the locks would stay until the branch is idle for too long.
  // Therefore the participant, which rolls an overdue branch back, gets additional time
  // to answer.
  [[nodiscard]] Duration TimeFor(const wire::CallContext& context) const {
    if (!context.__isset.deadline_ms) return timeout_;
    return Duration::Millis(context.deadline_ms) + timeout_;
  }

  rpc::Channel* const channel_;
  const Duration timeout_;
};

}  // namespace

ChannelLinkProvider::ChannelLinkProvider(rpc::EventLoop* loop, Duration call_timeout,
                                         uint64_t seed)
    : loop_(loop), call_timeout_(call_timeout), next_seed_(seed) {}

ChannelLinkProvider::~ChannelLinkProvider() = default;

rpc::Channel* ChannelLinkProvider::ChannelTo(const std::string& address) {
  std::unique_ptr<rpc::Channel>& channel = channels_[address];
  if (channel == nullptr) {
    const auto parsed = rpc::Address::Parse(address);
    if (!parsed.ok()) return nullptr;
    rpc::ChannelOptions options;
    options.connect_timeout = Duration::Seconds(1);
    // A client that waits for a new leader should find it soon.
    options.reconnect_max = Duration::Millis(100);
    options.seed = next_seed_++;
    // The other limits are equal to the servers'. A request over them is refused before
    // it is sent, because at the server it would end the connection that all calls share.
    rpc::Limits limits;
    limits.max_calls_in_flight = 65536;
    channel = std::make_unique<rpc::Channel>(loop_, *parsed, limits, options);
  }
  return channel.get();
}

CoordinatorLink* ChannelLinkProvider::Coordinator(const std::string& address) {
  std::unique_ptr<CoordinatorLink>& link = coordinators_[address];
  if (link == nullptr) {
    rpc::Channel* channel = ChannelTo(address);
    if (channel == nullptr) return nullptr;
    link = std::make_unique<CoordinatorProxy>(channel, call_timeout_);
  }
  return link.get();
}

ParticipantLink* ChannelLinkProvider::Participant(const std::string& address) {
  std::unique_ptr<ParticipantLink>& link = participants_[address];
  if (link == nullptr) {
    rpc::Channel* channel = ChannelTo(address);
    if (channel == nullptr) return nullptr;
    link = std::make_unique<ParticipantProxy>(channel, call_timeout_);
  }
  return link.get();
}

}  // namespace concordat::client
