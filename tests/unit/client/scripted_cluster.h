// A cluster of two coordinator nodes whose answers to commit, rollback and enlist are
// written down beforehand, and a participant that works for any resource: for tests of
// what the client library concludes.
//
//   ScriptedCluster cluster;
//   cluster.Answer({Code::UNDECIDED, Code::OVERLOADED, Code::OK});
//   auto t = cluster.Worked({"bank-a", "bank-b"});
//   EXPECT_TRUE(t.Commit().committed());
#ifndef TESTS_UNIT_CLIENT_SCRIPTED_CLUSTER_H_
#define TESTS_UNIT_CLIENT_SCRIPTED_CLUSTER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/mutex.h"
#include "coordinator/client/client.h"
#include "coordinator/client/link.h"

namespace concordat::client {

using wire::Code;

// One answer. OK to commit is COMMITTED, to rollback ABORTED, unless it says otherwise.
struct Said {
  Said(Code::type code_said) : code(code_said) {}  // NOLINT: reads as a list of codes
  Said(Code::type code_said, std::string leader_hint)
      : code(code_said), hint(std::move(leader_hint)) {}

  Code::type code;
  std::string hint = "self";  // "self": the node that is asked
  bool committed_to_rollback = false;
};

// What all nodes have been asked, and say next. When the script has ended, its last line
// is repeated. Thread-safe.
class Script {
 public:
  void Answer(std::initializer_list<Said> answers) {
    MutexLock lock(&mutex_);
    answers_.assign(answers.begin(), answers.end());
  }
  Said Next(const std::string& call, const std::string& node) {
    MutexLock lock(&mutex_);
    calls_.push_back(call + " " + node);
    CONCORDAT_CHECK(!answers_.empty()) << "no answer to " << call;
    Said said = answers_.front();
    if (answers_.size() > 1) answers_.pop_front();
    return said;
  }
  void Note(const std::string& call) {
    MutexLock lock(&mutex_);
    calls_.push_back(call);
  }
  [[nodiscard]] std::vector<std::string> calls() {
    MutexLock lock(&mutex_);
    return calls_;
  }
  // The number of the next block of gtids.
  int64_t NextBlock() { return blocks_++; }

  std::atomic<int32_t> gtids_valid_ms{100'000};

 private:
  std::atomic<int64_t> blocks_{0};
  Mutex mutex_;
  std::deque<Said> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mutex_);
};

class ScriptedNode final : public wire::CoordinatorServiceCobSvNull {
 public:
  ScriptedNode(std::string name, Script* script)
      : name_(std::move(name)), script_(script) {}

  void hello(std::function<void(const wire::HelloReply&)> cob,
             const wire::CallContext&) override {
    wire::HelloReply reply;
    reply.cluster = 5;
    cob(reply);
  }
  void allocateGtids(std::function<void(const wire::BeginReply&)> cob,
                     const wire::BeginRequest&) override {
    wire::BeginReply reply;
    reply.first.group = 1;
    reply.first.term = 1;
    reply.first.sequence = 1 + 100 * script_->NextBlock();
    reply.count = 100;
    reply.valid_ms = script_->gtids_valid_ms;
    cob(reply);
  }
  void resolve(std::function<void(const wire::ResolveReply&)> cob,
               const wire::ResolveRequest& request) override {
    wire::ResolveReply reply;
    for (const std::string& name : {"bank-a", "bank-b"}) {
      wire::ResourceInfo info;
      info.name = name;
      info.address = "participant";
      reply.resources.push_back(info);
    }
    (void)request;
    cob(reply);
  }
  void commit(std::function<void(const wire::OutcomeReply&)> cob,
              const wire::CommitRequest&) override {
    cob(Outcome("commit", wire::Outcome::COMMITTED));
  }
  void rollback(std::function<void(const wire::OutcomeReply&)> cob,
                const wire::RollbackRequest&) override {
    cob(Outcome("rollback", wire::Outcome::ABORTED));
  }
  void outcome(std::function<void(const wire::OutcomeReply&)> cob,
               const wire::OutcomeRequest&) override {
    cob(Outcome("outcome", wire::Outcome::COMMITTED));
  }
  void enlist(std::function<void(const wire::Result&)> cob,
              const wire::EnlistRequest&) override {
    cob(Result(script_->Next("enlist", name_)));
  }

 private:
  [[nodiscard]] wire::Result Result(const Said& said) const {
    wire::Result result;
    result.code = said.code;
    result.__set_message("as the script says");
    const std::string hint = said.hint == "self" ? name_ : said.hint;
    if (!hint.empty()) result.__set_leader_hint(hint);
    return result;
  }
  [[nodiscard]] wire::OutcomeReply Outcome(const std::string& call,
                                           wire::Outcome::type with_ok) {
    const Said said = script_->Next(call, name_);
    wire::OutcomeReply reply;
    reply.result = Result(said);
    if (said.code != Code::OK) return reply;
    reply.__set_outcome(said.committed_to_rollback ? wire::Outcome::COMMITTED : with_ok);
    reply.__set_cause(wire::AbortCause::ROLLED_BACK);
    return reply;
  }

  const std::string name_;
  Script* const script_;
};

class WillingParticipant final : public wire::ParticipantServiceCobSvNull {
 public:
  explicit WillingParticipant(Script* script) : script_(script) {}

  void execute(std::function<void(const wire::ExecuteReply&)> cob,
               const wire::ExecuteRequest& request) override {
    wire::ExecuteReply reply;
    wire::BranchId branch;
    branch.gtid = request.start;
    branch.resource = request.resource;
    branch.incarnation = 1;
    branch.number = ++branches_;
    reply.__set_branch(branch);
    reply.__set_kv({wire::KvResult()});
    if (request.__isset.prepare && request.prepare) reply.__set_prepared(true);
    cob(reply);
  }
  void rollback(std::function<void(const wire::FinishReply&)> cob,
                const wire::BranchList& list) override {
    for (const wire::BranchId& branch : list.branches) {
      script_->Note("rollback at " + branch.resource);
    }
    cob(wire::FinishReply());
  }

 private:
  Script* const script_;
  int64_t branches_ = 0;
};

class ScriptedCluster final : public LinkProvider {
 public:
  explicit ScriptedCluster(Duration time_limit = Duration::Seconds(60)) {
    auto thread = rpc::LoopThread::Start();
    CONCORDAT_CHECK(thread.ok()) << thread.status().message();
    thread_ = std::move(*thread);
    ClientOptions options;
    options.coordinators = {"node-1", "node-2"};
    options.time_limit = time_limit;
    client_ = Client::Over(thread_->loop(), this, options);
  }
  ~ScriptedCluster() override {
    client_.reset();
    thread_->StopAndJoin();
  }

  CoordinatorLink* Coordinator(const std::string& address) override {
    return address == "node-1" ? &first_ : &second_;
  }
  ParticipantLink* Participant(const std::string&) override { return &participant_; }

  void Answer(std::initializer_list<Said> answers) { script_.Answer(answers); }
  // To be called before the first transaction.
  void GtidsAreValidFor(int32_t ms) { script_.gtids_valid_ms = ms; }
  [[nodiscard]] std::vector<std::string> calls() { return script_.calls(); }
  [[nodiscard]] Client* client() { return client_.get(); }
  [[nodiscard]] Transaction Worked(const std::vector<std::string>& banks) {
    auto transaction = client_->Begin();
    CONCORDAT_CHECK(transaction.ok()) << transaction.status().message();
    for (const std::string& bank : banks) {
      CONCORDAT_CHECK(transaction->Kv(bank, {Add("alice", 1)}).ok());
    }
    return std::move(*transaction);
  }

 private:
  Script script_;
  ScriptedNode first_{"node-1", &script_};
  ScriptedNode second_{"node-2", &script_};
  WillingParticipant participant_{&script_};
  std::unique_ptr<rpc::LoopThread> thread_;
  std::unique_ptr<Client> client_;
};

}  // namespace concordat::client

#endif  // TESTS_UNIT_CLIENT_SCRIPTED_CLUSTER_H_
