#include "tests/unit/txn/random_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/unit/txn/harness.h"

namespace concordat::txn {

namespace {

constexpr size_t kServers = 3;
const char* const kResources[] = {"bank-a", "bank-b", "bank-c", "bank-d"};

CoreOptions RunOptions() {
  CoreOptions options;
  options.default_timeout = Duration::Seconds(2);
  options.max_resend = Duration::Seconds(2);
  options.client_wait = Duration::Seconds(3);
  options.ended_batch = 4;
  options.retention = Duration::Seconds(15);
  options.min_retention = Duration::Seconds(10);
  options.watermark_interval = Duration::Seconds(1);
  return options;
}

}  // namespace

RandomRun::RandomRun(uint64_t seed)
    : random_(seed), options_(RunOptions()), speed_(1 + seed % 8) {
  for (size_t i = 0; i < kServers; ++i) {
    servers_.emplace_back();
    servers_.back().core = std::make_unique<Core>(kGroup, options_);
  }
  ChangeLeader();
  MakeReady();
}

void RandomRun::Storm(int steps) {
  for (int i = 0; i < steps && problems_.empty(); ++i) Step();
}

void RandomRun::Step() {
  now_ = now_ + Duration::Millis(random_.Between(0, 40));
  const uint64_t dice = random_.Below(100);
  if (dice < 30) {
    CommitSome(4);
  } else if (dice < 55 && !mail_.empty()) {
    for (uint64_t i = 1 + random_.Below(speed_); i > 0; --i) DeliverAny();
  } else if (dice < 65) {
    for (size_t i = 0; i < servers_.size(); ++i) {
      servers_[i].core->Tick(now_);
      Collect(i);
    }
  } else if (dice < 75) {
    ClientActs();
  } else if (dice < 82) {
    if (storming_) NewClient();
  } else if (dice < 88) {
    InquireSomewhere();
  } else if (dice < 90) {
    CatchUp(&servers_[AnyServer()]);
  } else if (dice < 92) {
    if (storming_) RestartResource();
  } else if (dice < 94) {
    if (storming_ && random_.Percent(50)) ChangeLeader();
  } else {
    MakeReady();
  }
}

void RandomRun::DeliverAny() {
  if (mail_.empty()) return;
  const auto i = static_cast<size_t>(random_.Below(mail_.size()));
  const Envelope envelope = mail_[i];
  const bool again = storming_ && random_.Percent(10);
  if (!again) mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(i));
  const bool lost = storming_ && random_.Percent(10);
  if (!lost) Deliver(envelope);
}

void RandomRun::Collect(size_t index) {
  Server& server = servers_[index];
  Output out = server.core->TakeOutput();
  for (std::string& record : out.proposals) server.pending.push_back(std::move(record));
  for (Message& message : out.messages) mail_.push_back({index, std::move(message)});
  for (const Answer& answer : out.answers) {
    const auto found = asked_.find({index, answer.token});
    if (found == asked_.end()) {
      Problem(absl::StrCat("answer to nobody: ", Describe(answer.reply)));
      continue;
    }
    const Asked asked = found->second;
    asked_.erase(found);
    Hear(asked, answer.reply);
  }
  for (const Event& event : out.events) Count(std::string(ToString(event.kind)));
  // Nobody confirms a deposed leader.
  if (out.reads.empty() || index != leader_ || !ready_) return;
  for (const group::ReadToken token : out.reads)
    server.core->OnReadConfirmed(token, now_);
  Collect(index);
}

// Only the leader of the latest term gets anything into the log.
void RandomRun::CommitSome(uint64_t at_most) {
  Server& leader = servers_[leader_];
  if (!ready_) return;
  for (uint64_t i = random_.Below(at_most + 1); i > 0 && !leader.pending.empty(); --i) {
    log_.push_back(std::move(leader.pending.front()));
    leader.pending.erase(leader.pending.begin());
    CatchUp(&leader);
  }
}

void RandomRun::CatchUp(Server* server) {
  const auto index = static_cast<size_t>(server - servers_.data());
  // A deposed leader that believes it leads hears nothing of the log; when it does, it
  // steps down first.
  if (index != leader_ && server->term != 0) {
    server->core->LoseLeadership(now_);
    server->term = 0;
    server->pending.clear();
    Collect(index);
  }
  while (server->applied < log_.size()) {
    const std::string& record = log_[server->applied++];
    const auto status = server->core->Apply(LogIndex(server->applied), record, now_);
    CONCORDAT_CHECK(status.ok()) << status.ToString();
    Collect(index);
  }
}

void RandomRun::ChangeLeader() {
  Server& old = servers_[leader_];
  if (ready_) {
    const auto kept = static_cast<std::ptrdiff_t>(random_.Below(old.pending.size() + 1));
    surviving_.assign(old.pending.begin(), old.pending.begin() + kept);
  }
  leader_ = AnyServer();
  Server& leader = servers_[leader_];
  if (leader.term != 0) {
    leader.core->LoseLeadership(now_);
    Collect(leader_);
  }
  leader.pending.clear();
  leader.term = ++term_;
  ready_ = false;
  if (random_.Percent(50)) CatchUp(&leader);
  leader.core->BecomeLeader(Term(term_), now_);
  Collect(leader_);
  Count("leader changes");
}

// What survived is log-committed with the new leader's own entry.
void RandomRun::MakeReady() {
  if (ready_) return;
  ready_ = true;
  for (std::string& record : surviving_) log_.push_back(std::move(record));
  surviving_.clear();
  CatchUp(&servers_[leader_]);
  servers_[leader_].core->LeaderReady(Term(term_), now_);
  Collect(leader_);
}

void RandomRun::Deliver(const Envelope& envelope) {
  const BranchId& id = envelope.message.branch;
  const bool heard = !storming_ || !random_.Percent(10);
  Core& core = *servers_[envelope.server].core;
  if (storming_ && random_.Percent(5)) {
    if (envelope.message.verb == Verb::kPrepare) {
      core.Handle(ReceivedVote{id, Vote::kUnavailable, "recovering"}, now_);
    } else {
      core.Handle(ReceivedAck{id, FinishState::kRetry}, now_);
    }
  } else if (envelope.message.verb == Verb::kPrepare) {
    const auto found = branches_.find(id);
    const Vote vote = found == branches_.end() ? Vote::kRefused : Prepare(&found->second);
    if (heard) core.Handle(ReceivedVote{id, vote}, now_);
  } else {
    Settle(id, envelope.message.verb == Verb::kCommit);
    if (heard) core.Handle(ReceivedAck{id, FinishState::kDone}, now_);
  }
  Collect(envelope.server);
}

Vote RandomRun::Prepare(BranchState* branch) {
  switch (branch->place) {
    case Place::kPrepared:
      return Vote::kPrepared;
    case Place::kReadOnly:
      return Vote::kReadOnly;
    case Place::kAlone:
      return Vote::kCommittedAlone;
    case Place::kGone:
      return Vote::kRefused;
    case Place::kActive:
      break;
  }
  if (random_.Percent(4)) {
    branch->place = Place::kGone;
    branch->rolled_back = true;
    return Vote::kRefused;
  }
  branch->place = branch->writes ? Place::kPrepared : Place::kReadOnly;
  return branch->writes ? Vote::kPrepared : Vote::kReadOnly;
}

void RandomRun::Settle(const BranchId& id, bool commit) {
  const auto found = branches_.find(id);
  if (found == branches_.end()) return;
  BranchState& branch = found->second;
  if (commit && branch.rolled_back) {
    Problem(absl::StrCat("COMMIT for ", ToString(id), ", which was rolled back"));
  }
  if (commit && branch.place == Place::kActive) {
    Problem(absl::StrCat("COMMIT for ", ToString(id), ", which never was prepared"));
  }
  if (branch.place == Place::kPrepared || branch.place == Place::kActive) {
    branch.committed = commit;
    branch.rolled_back = !commit;
    branch.place = Place::kGone;
  }
}

// What was not on disk is gone, and what was read is forgotten.
void RandomRun::RestartResource() {
  const std::string resource = kResources[random_.Below(4)];
  for (auto& [id, branch] : branches_) {
    if (id.resource != resource) continue;
    if (branch.place == Place::kActive) branch.rolled_back = true;
    if (branch.place == Place::kActive || branch.place == Place::kReadOnly) {
      branch.place = Place::kGone;
    }
  }
}

void RandomRun::InquireSomewhere() {
  std::vector<BranchId> in_doubt;
  for (const auto& [id, branch] : branches_) {
    if (branch.place == Place::kPrepared) in_doubt.push_back(id);
  }
  if (in_doubt.empty()) return;
  const BranchId& id = in_doubt[random_.Below(in_doubt.size())];
  Submit(AnyServer(), InquireRequest{id}, Asked{id.gtid, id, std::nullopt});
}

std::vector<BranchId> RandomRun::AnyBranches(const Gtid& gtid, bool start) {
  std::vector<BranchId> ids;
  for (uint64_t i = 1 + random_.Below(3); i > 0; --i) {
    const BranchId id = MakeBranch(gtid, kResources[random_.Below(4)], next_number_++);
    if (start) {
      BranchState& branch = branches_[id];
      branch.writes = !random_.Percent(15);
      if (random_.Percent(2)) branch.place = Place::kAlone;
    }
    ids.push_back(id);
  }
  return ids;
}

void RandomRun::NewClient() {
  if (!ready_) return;
  Core& core = *servers_[leader_].core;
  const RequestToken token(next_token_++);
  core.Handle(SubmittedRequest{token, AllocateGtidsRequest{1}}, now_);
  Output out = core.TakeOutput();
  CONCORDAT_CHECK(out.answers.size() == 1) << "gtids are answered at once";
  Client client;
  client.gtid = std::get<GtidBlockReply>(out.answers[0].reply).first;
  client.branches = AnyBranches(client.gtid, true);
  client.mode = random_.Percent(50) ? CommitMode::kParallel : CommitMode::kDecided;
  client.wants_commit = !random_.Percent(10);
  if (random_.Percent(30)) {
    const BranchId id = AnyBranches(client.gtid, true)[0];
    Submit(leader_, EnlistRequest{id}, Asked{client.gtid, std::nullopt, id});
  }
  clients_.push_back(client);
  if (clients_.size() > 12) clients_.erase(clients_.begin());  // it vanishes
}

void RandomRun::ClientActs() {
  if (clients_.empty()) return;
  Client client = clients_[random_.Below(clients_.size())];
  const Asked asked{client.gtid, std::nullopt, std::nullopt};
  const size_t server = random_.Percent(70) ? leader_ : AnyServer();
  if (random_.Percent(8)) client.branches = AnyBranches(client.gtid, true);
  if (random_.Percent(8)) client.mode = CommitMode::kParallel;
  if (random_.Percent(client.wants_commit ? 5 : 80)) {
    return Submit(server, RollbackRequest{client.gtid, client.branches}, asked);
  }
  if (random_.Percent(10)) return Submit(server, OutcomeRequest{client.gtid}, asked);
  if (random_.Percent(6)) {
    const BranchId id = AnyBranches(client.gtid, true)[0];
    return Submit(server, EnlistRequest{id}, Asked{client.gtid, std::nullopt, id});
  }
  Submit(server, CommitRequest{client.gtid, client.branches, client.mode}, asked);
}

void RandomRun::Submit(size_t server, Request request, Asked asked) {
  const RequestToken token(next_token_++);
  asked.committed_before = told_[asked.gtid].committed;
  asked_[{server, token}] = std::move(asked);
  servers_[server].core->Handle(SubmittedRequest{token, std::move(request)}, now_);
  Collect(server);
}

void RandomRun::Hear(const Asked& asked, const Reply& reply) {
  Told& told = told_[asked.gtid];
  Count(std::string(Describe(reply).substr(0, Describe(reply).find_first_of(" :"))));
  if (const auto* inquiry = std::get_if<InquiryReply>(&reply)) {
    if (inquiry->answer == InquiryAnswer::kWait) return;
    return Settle(*asked.inquiry, inquiry->answer == InquiryAnswer::kCommit);
  }
  if (std::holds_alternative<EnlistedReply>(reply))
    told.enlisted.insert(*asked.enlistment);
  if (std::holds_alternative<CommittedReply>(reply)) told.committed = true;
  if (std::holds_alternative<AbortedReply>(reply)) told.aborted = true;
  if (std::holds_alternative<NotStagedReply>(reply) && asked.committed_before) {
    Problem(absl::StrCat(ToString(asked.gtid), " was COMMITTED, and later not known"));
  }
  if (told.committed && told.aborted) {
    Problem(absl::StrCat(ToString(asked.gtid), " was told COMMITTED and ABORTED"));
  }
}

void RandomRun::Heal() {
  storming_ = false;
  MakeReady();
  for (int i = 0; i < 2500 && problems_.empty(); ++i) Step();
  for (int i = 0; i < 400 && problems_.empty(); ++i) {
    while (!mail_.empty()) {
      const Envelope envelope = mail_.back();
      mail_.pop_back();
      Deliver(envelope);
    }
    CommitSome(1000);
    InquireSomewhere();
    now_ = now_ + Duration::Millis(100);
    for (size_t s = 0; s < servers_.size(); ++s) {
      servers_[s].core->Tick(now_);
      Collect(s);
    }
  }
  for (Server& server : servers_) CatchUp(&server);
  CheckServers();
  CheckOutcomes();
}

void RandomRun::CheckServers() {
  for (const Server& server : servers_) {
    if (server.core->table().Hash() != servers_[0].core->table().Hash() ||
        SnapshotOf(server.core.get()) != SnapshotOf(servers_[0].core.get())) {
      Problem("tables differ");
    }
  }
  const auto& table = servers_[leader_].core->table();
  if (!table.live().empty()) {
    Problem(absl::StrCat(ToString(table.live().begin()->first), " is not over"));
  }
}

// Which branches were to commit, by the log alone.
RandomRun::CommittedSets RandomRun::ReplayLog() const {
  CommittedSets decided;
  std::set<Gtid> seen;
  TransactionTable replay(kGroup);
  for (size_t i = 0; i < log_.size(); ++i) {
    const Record record = *DecodeRecord(log_[i]);
    replay.Apply(LogIndex(i + 1), record);
    const auto* decision = std::get_if<DecidedRecord>(&record);
    if (decision == nullptr) continue;
    const auto settled = replay.FindSettled(decision->gtid);
    if (!settled || !seen.insert(decision->gtid).second) continue;
    if (settled->outcome == Outcome::kAborted) continue;
    std::set<BranchId>& set = decided[decision->gtid];
    if (const auto* entry = replay.FindLive(decision->gtid)) {
      set.insert(entry->branches.begin(), entry->branches.end());
    }
  }
  return decided;
}

void RandomRun::CheckOutcomes() {
  const CommittedSets decided = ReplayLog();
  for (const auto& [id, branch] : branches_) {
    if (branch.place == Place::kPrepared) {
      Problem(absl::StrCat(ToString(id), " is in doubt for ever"));
    }
    const auto set = decided.find(id.gtid);
    const bool member = set != decided.end() && set->second.contains(id);
    if (branch.committed && !member) {
      Problem(absl::StrCat(ToString(id), " committed, and should not have"));
    }
    if (member && branch.writes && !branch.committed) {
      Problem(absl::StrCat(ToString(id), " did not commit, and should have"));
    }
  }
  for (const auto& [gtid, told] : told_) {
    const bool committed = decided.contains(gtid);
    if (told.committed && !committed) Problem(ToString(gtid) + " was told COMMITTED");
    if (told.aborted && committed) Problem(ToString(gtid) + " was told ABORTED");
    for (const BranchId& id : told.enlisted) {
      if (committed && !decided.at(gtid).contains(id)) {
        Problem(ToString(id) + " was told ENLISTED and left out");
      }
    }
  }
}

}  // namespace concordat::txn
