#include "participant/resources/xa/xa_resource_manager.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/resources/xa/codes.h"

namespace concordat::participant::xa {
namespace {

constexpr char kHangs[] = "a call of the switch does not come back";

// For the switch, each resource of a process is an instance of its own.
int NextRmid() {
  static std::atomic<int> last{0};
  return ++last;
}

wire::ExecuteReply Failure(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  reply.result.__set_message(std::move(message));
  return reply;
}

absl::StatusOr<void*> FindSymbol(void* library, const std::string& symbol) {
  dlerror();
  void* found = dlsym(library, symbol.c_str());
  if (found != nullptr) return found;
  const char* why = dlerror();
  return absl::NotFoundError(why == nullptr ? absl::StrCat("no symbol ", symbol) : why);
}

absl::StatusOr<void*> OpenLibrary(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  return absl::NotFoundError(dlerror());
}

}  // namespace

absl::StatusOr<XaLibrary> LoadSwitch(const std::string& library,
                                     const std::string& switch_symbol,
                                     const std::string& work_library,
                                     const std::string& work_symbol) {
  const absl::StatusOr<void*> first = OpenLibrary(library);
  if (!first.ok()) return first.status();
  const absl::StatusOr<void*> found = FindSymbol(*first, switch_symbol);
  if (!found.ok()) return found.status();
  const absl::StatusOr<void*> second =
      work_library.empty() ? first : OpenLibrary(work_library);
  if (!second.ok()) return second.status();
  const absl::StatusOr<void*> work = FindSymbol(*second, work_symbol);
  if (!work.ok()) return work.status();
  XaLibrary loaded;
  loaded.xa = static_cast<const xa_switch_t*>(*found);
  loaded.work = reinterpret_cast<concordat_work_function*>(*work);
  loaded.work_open = reinterpret_cast<concordat_work_open_function*>(
      dlsym(*second, (work_symbol + "_open").c_str()));
  loaded.work_close = reinterpret_cast<concordat_work_close_function*>(
      dlsym(*second, (work_symbol + "_close").c_str()));
  return loaded;
}

XaResourceManager::XaResourceManager(XaLibrary library, XaOptions options, FileEnv* env)
    : library_(library),
      options_(std::move(options)),
      open_info_{library, NextRmid(), options_.open_info, options_.close_info},
      evidence_(options_.dir, env),
      calls_(open_info_, options_.resource, &evidence_) {}

XaResourceManager::~XaResourceManager() { Close(); }

absl::Status XaResourceManager::Check() const {
  if (options_.open_info.size() >= MAXINFOSIZE ||
      options_.close_info.size() >= MAXINFOSIZE) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the open and close strings have at most ", MAXINFOSIZE - 1, " characters"));
  }
  if (options_.threads == 0 || options_.settle_threads == 0) {
    return absl::InvalidArgumentError("there must be a thread");
  }
  if (options_.hang_after <= Duration()) {
    return absl::InvalidArgumentError("a call must be allowed some time (hang_after)");
  }
  const xa_switch_t& xa = *library_.xa;
  const std::string name(xa.name, std::find(xa.name, xa.name + RMNAMESZ, '\0'));
  if (xa.version != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the switch \"", name, "\" has version ", xa.version, "; there is only 0"));
  }
  if ((xa.flags & TMREGISTER) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the switch \"", name,
                     "\" registers dynamically (TMREGISTER): name the library's other "
                     "switch, which does not"));
  }
  return absl::OkStatus();
}

void XaResourceManager::Recover(ClusterId cluster,
                                Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  absl::Status status = Check();
  if (status.ok()) status = evidence_.Open(cluster);
  if (!status.ok()) return done(status);
  first_generation_ = evidence_.generation();
  calls_.SetCluster(cluster);
  watch_ = std::make_unique<HangWatch>(options_.resource, options_.hang_after);
  for (uint32_t i = 0; i < options_.settle_threads; ++i) {
    settle_threads_.push_back(std::make_unique<ThreadOfControl>(open_info_));
    watch_->Add(settle_threads_.back().get());
  }
  settle_threads_[0]->Post(
      [this, done = std::move(done)]() mutable { RecoverHere(std::move(done)); });
}

void XaResourceManager::RecoverHere(
    Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  ThreadOfControl* thread = settle_threads_[0].get();
  const absl::StatusOr<Held> held = calls_.Recover(thread);
  if (!held.ok()) return done(held.status());
  std::vector<BranchId> prepared;
  for (const BranchId& branch : held->ours) {
    if (evidence_.Find(branch) != Evidence::kCommittedAlone) {
      prepared.push_back(branch);
      continue;
    }
    bool heuristic = false;
    const FinishResult result = calls_.Commit(thread, branch, &heuristic);
    if (result.state != FinishState::kDone) {
      return done(absl::UnavailableError(absl::StrCat(
          ToString(branch), " was decided COMMIT in one phase: ", result.detail,
          ". Start again when it can be committed")));
    }
  }
  LogEvent(Level::kInfo, "xa resource open")
      .Field("resource", options_.resource)
      .Field("in_doubt", prepared.size())
      .Field("of_others", held->others);
  {
    MutexLock lock(&mutex_);
    for (uint32_t i = 0; i < options_.threads; ++i) {
      threads_.push_back(std::make_unique<ThreadOfControl>(open_info_));
      watch_->Add(threads_.back().get());
      free_.push_back(threads_.back().get());
    }
    open_ = true;
  }
  done(std::move(prepared));
}

absl::Status XaResourceManager::Start(const BranchId& branch,
                                      const StartOptions& options) {
  if (!options.isolation.empty()) {
    return absl::InvalidArgumentError("an XA resource has no isolation to choose");
  }
  if (absl::Status s = evidence_.CheckSpace(); !s.ok()) return s;
  MutexLock lock(&mutex_);
  if (!open_) return absl::UnavailableError("the resource is not open");
  if (branches_.size() >= options_.max_branches) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", branches_.size(), " branches already"));
  }
  branches_[branch] = std::make_shared<Branch>();
  return absl::OkStatus();
}

XaResourceManager::BranchPtr XaResourceManager::Find(const BranchId& id) {
  MutexLock lock(&mutex_);
  const auto found = branches_.find(id);
  return found == branches_.end() ? nullptr : found->second;
}

ThreadOfControl* XaResourceManager::TakeThread(Branch* branch) {
  if (branch->thread == nullptr && !free_.empty()) {
    branch->thread = free_.back();
    free_.pop_back();
  }
  return branch->thread;
}

void XaResourceManager::EndWork(const BranchId& id) {
  MutexLock lock(&mutex_);
  const auto found = branches_.find(id);
  if (found == branches_.end()) return;
  ThreadOfControl* thread = found->second->thread;
  branches_.erase(found);
  if (thread == nullptr) return;
  if (waiting_.empty() || !open_) {
    free_.push_back(thread);
    return;
  }
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  next.branch->thread = thread;
  PostExecute(std::move(next), thread);
}

// --- work ---

void XaResourceManager::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                                Callback<wire::ExecuteReply> done) {
  if (!request.__isset.opaque) {
    return done(Failure(wire::Code::INVALID, "an XA resource takes opaque work only"));
  }
  {
    MutexLock lock(&mutex_);
    const auto found = branches_.find(id);
    if (found != branches_.end()) {
      Waiting call{id, found->second, &request, std::move(done)};
      if (ThreadOfControl* thread = TakeThread(found->second.get())) {
        PostExecute(std::move(call), thread);
      } else {
        waiting_.push_back(std::move(call));
      }
      return;
    }
  }
  done(Failure(wire::Code::BRANCH_GONE, "it is not there"));
}

void XaResourceManager::PostExecute(Waiting call, ThreadOfControl* thread) {
  thread->Post(
      [this, call = std::move(call)]() mutable { ExecuteHere(std::move(call)); });
}

void XaResourceManager::ExecuteHere(Waiting call) {
  bool over = false;
  wire::ExecuteReply reply = Work(call, &over);
  if (over) {
    if (call.branch->started) calls_.RollBackActive(call.branch->thread, call.id);
    EndWork(call.id);
  }
  call.done(std::move(reply));
}

wire::ExecuteReply XaResourceManager::Work(const Waiting& call, bool* over) {
  *over = true;
  if (!call.branch->started) {
    const absl::Status status = calls_.Start(call.branch->thread, call.id);
    if (!status.ok()) {
      return Failure(
          absl::IsAborted(status) ? wire::Code::CONFLICT : wire::Code::RESOURCE_ERROR,
          std::string(status.message()));
    }
    call.branch->started = true;
  }
  std::string text(kMaxAnswerBytes, '\0');
  size_t length = 0;
  const int done = [&] {
    const ThreadOfControl::Calling calling(call.branch->thread, "the work function",
                                           &call.id);
    return library_.work(open_info_.rmid, call.request->opaque.data(),
                         call.request->opaque.size(), text.data(), text.size(), &length);
  }();
  text.resize(std::min(length, text.size()));
  switch (done) {
    case CONCORDAT_WORK_DONE: {
      *over = false;
      wire::ExecuteReply reply;
      reply.result.code = wire::Code::OK;
      reply.__set_opaque(text);
      return reply;
    }
    case CONCORDAT_WORK_REFUSED:
      *over = false;
      return Failure(wire::Code::CONDITION_FAILED, std::move(text));
    case CONCORDAT_WORK_CONFLICT:
      return Failure(wire::Code::CONFLICT, std::move(text));
    default:
      return Failure(wire::Code::RESOURCE_ERROR, std::move(text));
  }
}

// --- callers that wait for an answer ---

// Claimed by the first that answers: the thread, or the watch, which gives up.
template <class T>
struct XaResourceManager::Waiter {
  explicit Waiter(Callback<T> d) : done(std::move(d)) {}
  // False: it has been answered already.
  [[nodiscard]] bool Claim() { return !claimed.exchange(true); }

  Callback<T> done;
  std::atomic<bool> claimed{false};
};

// --- the generation ---

void XaResourceManager::SetGeneration(uint64_t generation, Callback<absl::Status> done) {
  ThreadOfControl* thread = SettleThread();
  if (thread == nullptr) return done(absl::UnavailableError("the resource is not open"));
  auto waiter = std::make_shared<Waiter<absl::Status>>(std::move(done));
  thread->Post(
      [this, generation, waiter] {
        const absl::Status status = evidence_.SetGeneration(generation);
        if (waiter->Claim()) waiter->done(status);
      },
      [waiter](bool /*begun*/) {
        if (waiter->Claim()) waiter->done(absl::UnavailableError(kHangs));
      });
}

// --- ends of an active branch ---

void XaResourceManager::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  const BranchPtr branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, "the branch is not there"});
  if (branch->thread == nullptr) {  // no work was done in it
    EndWork(id);
    return done({Vote::kReadOnly, ""});
  }
  auto waiter = std::make_shared<Waiter<PrepareResult>>(std::move(done));
  branch->thread->Post(
      [this, id, branch, waiter] {
        PrepareResult result = PrepareHere(id, branch.get());
        if (!waiter->Claim()) {
          branch->late_vote = std::move(result);
          return;
        }
        if (!branch->uncertain) EndWork(id);
        waiter->done(std::move(result));
      },
      [waiter](bool /*begun*/) {
        if (waiter->Claim()) waiter->done({Vote::kUnavailable, kHangs});
      });
}

PrepareResult XaResourceManager::PrepareHere(const BranchId& id, Branch* branch) {
  if (branch->late_vote && branch->late_vote->vote != Vote::kUnavailable) {
    return *std::exchange(branch->late_vote, std::nullopt);
  }
  branch->late_vote.reset();
  PrepareResult result = branch->uncertain ? calls_.FindOut(branch->thread, id)
                                           : calls_.Prepare(branch->thread, id);
  branch->uncertain = result.vote == Vote::kUnavailable;
  return result;
}

void XaResourceManager::CommitOnePhase(const BranchId& id,
                                       Callback<OnePhaseResult> done) {
  const BranchPtr branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kUnknown, "the branch is not there"});
  if (branch->thread == nullptr) {
    EndWork(id);
    return done({OnePhase::kReadOnly, ""});
  }
  branch->thread->Post([this, id, branch, done = std::move(done)]() mutable {
    OnePhaseResult result = calls_.CommitOnePhase(branch->thread, id);
    EndWork(id);
    done(std::move(result));
  });
}

void XaResourceManager::Rollback(const BranchId& id, Callback<FinishResult> done) {
  const BranchPtr branch = Find(id);
  if (branch == nullptr) return Settle(id, std::move(done), &Calls::Rollback);
  Callback<wire::ExecuteReply> waiting;
  {
    MutexLock lock(&mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
      if (it->id != id) continue;
      waiting = std::move(it->done);
      waiting_.erase(it);
      break;
    }
  }
  if (waiting) waiting(Failure(wire::Code::BRANCH_GONE, "it was rolled back"));
  if (branch->thread == nullptr) {
    EndWork(id);
    return done({FinishState::kDone, ""});
  }
  auto waiter = std::make_shared<Waiter<FinishResult>>(std::move(done));
  branch->thread->Post(
      [this, id, branch, waiter] {
        // An Execute before it may have ended the branch, and the thread may belong to
        // another one.
        if (Find(id) == branch) {
          if (branch->started) calls_.RollBackActive(branch->thread, id);
          EndWork(id);
        }
        if (waiter->Claim()) waiter->done({FinishState::kDone, ""});
      },
      [waiter](bool /*begun*/) {
        if (waiter->Claim()) waiter->done({FinishState::kRetry, kHangs});
      });
}

// --- prepared branches ---

// Returns a thread whose call does not hang, if there is one.
ThreadOfControl* XaResourceManager::SettleThread() {
  MutexLock lock(&mutex_);
  ThreadOfControl* thread = nullptr;
  for (size_t tried = 0; tried < settle_threads_.size(); ++tried) {
    thread = settle_threads_[next_settle_++ % settle_threads_.size()].get();
    if (!thread->hanging()) break;
  }
  return thread;
}

void XaResourceManager::Settle(const BranchId& id, Callback<FinishResult> done,
                               FinishResult (Calls::*end)(ThreadOfControl*,
                                                          const BranchId&, bool*)) {
  std::optional<FinishResult> answer;
  {
    MutexLock lock(&mutex_);
    if (const auto found = hanging_.find(id); found != hanging_.end()) {
      answer = found->second.late.value_or(FinishResult{FinishState::kRetry, kHangs});
      if (found->second.late) hanging_.erase(found);
    }
  }
  if (answer) return done(*std::move(answer));
  ThreadOfControl* thread = SettleThread();
  if (thread == nullptr) return done(FinishResult());
  auto waiter = std::make_shared<Waiter<FinishResult>>(std::move(done));
  thread->Post([this, id, thread, end, waiter] { SettleHere(id, thread, end, waiter); },
               [this, id, waiter](bool begun) {
                 {
                   MutexLock lock(&mutex_);
                   if (!waiter->Claim()) return;
                   if (begun) hanging_[id];
                 }
                 waiter->done({FinishState::kRetry, kHangs});
               });
}

void XaResourceManager::SettleHere(const BranchId& id, ThreadOfControl* thread,
                                   FinishResult (Calls::*end)(ThreadOfControl*,
                                                              const BranchId&, bool*),
                                   const FinishWaiter& waiter) {
  bool heuristic = false;
  FinishResult result = (calls_.*end)(thread, id, &heuristic);
  if (end == &Calls::Commit && result.state == FinishState::kDone) {
    evidence_.NoteCommitted(id);
  }
  {
    MutexLock lock(&mutex_);
    if (heuristic) heuristic_.insert(id);
    if (!waiter->Claim()) {
      // The next request gets this result: a second call might return something else
      // (XAER_NOTA after XAER_RMERR).
      if (result.state == FinishState::kRetry) {
        hanging_.erase(id);
      } else {
        hanging_[id].late = std::move(result);
      }
      return;
    }
  }
  waiter->done(std::move(result));
}

void XaResourceManager::Commit(const BranchId& id, Callback<FinishResult> done) {
  Settle(id, std::move(done), &Calls::Commit);
}

void XaResourceManager::LookUp(const BranchId& id, Callback<Evidence> done) {
  ThreadOfControl* thread = SettleThread();
  if (thread == nullptr) return done(Evidence::kUnknown);
  auto waiter = std::make_shared<Waiter<Evidence>>(std::move(done));
  thread->Post(
      [this, thread, id, waiter] {
        const Evidence found = calls_.LookUp(thread, id);
        if (waiter->Claim()) waiter->done(found);
      },
      [waiter](bool /*begun*/) {
        if (waiter->Claim()) waiter->done(Evidence::kUnknown);
      });
}

void XaResourceManager::ForgetBelow(const Gtid& watermark) {
  evidence_.ForgetBelow(watermark);
  std::vector<BranchId> forget;
  {
    MutexLock lock(&mutex_);
    for (const BranchId& id : heuristic_) {
      if (id.gtid.group == watermark.group && id.gtid < watermark) forget.push_back(id);
    }
    for (const BranchId& id : forget) heuristic_.erase(id);
    absl::erase_if(hanging_, [&watermark](const auto& one) {
      const Gtid& gtid = one.first.gtid;
      return one.second.late && gtid.group == watermark.group && gtid < watermark;
    });
  }
  if (forget.empty()) return;
  ThreadOfControl* thread = SettleThread();
  if (thread == nullptr) return;
  thread->Post([this, thread, forget] {
    for (const BranchId& id : forget) calls_.Forget(thread, id);
  });
}

void XaResourceManager::Close() {
  std::vector<std::pair<BranchId, BranchPtr>> active;
  std::deque<Waiting> waiting;
  {
    MutexLock lock(&mutex_);
    open_ = false;
    active.assign(branches_.begin(), branches_.end());
    waiting.swap(waiting_);
  }
  for (Waiting& call : waiting) {
    call.done(Failure(wire::Code::UNAVAILABLE, "the resource is being closed"));
  }
  // This comes after the tasks that still run on its thread.
  for (const auto& [id, branch] : active) {
    if (branch->thread == nullptr) continue;
    branch->thread->Post([this, id = id, branch = branch] {
      if (Find(id) != branch) return;
      if (branch->started) calls_.RollBackActive(branch->thread, id);
      EndWork(id);
    });
  }
  // The watch refers to the threads. From now on, Close waits for calls that hang.
  watch_.reset();
  threads_.clear();
  std::vector<std::unique_ptr<ThreadOfControl>> settle;
  {
    MutexLock lock(&mutex_);
    settle.swap(settle_threads_);
    branches_.clear();
  }
  settle.clear();
  evidence_.Close();
}

}  // namespace concordat::participant::xa
