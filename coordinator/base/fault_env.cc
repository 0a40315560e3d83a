#include "coordinator/base/fault_env.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat {
namespace {

constexpr size_t kSector = 512;

std::string DirOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

absl::Status InputOutputError(std::string_view operation, const std::string& path) {
  return absl::ErrnoToStatus(EIO, absl::StrCat(std::string(operation), " of ", path));
}

}  // namespace

struct FaultEnv::Inode {
  std::string bytes;
  uint64_t durable_size = 0;
  // The old contents of the sectors written since the last Sync, by their number.
  std::map<uint64_t, std::string> before;
};

struct FaultEnv::PendingName {
  enum class Kind { kCreate, kRemove, kRename };
  Kind kind;
  std::string path;
  std::string to;                // of a rename
  std::shared_ptr<Inode> inode;  // of a creation

  void Apply(Names* names) const {
    if (kind == Kind::kCreate) {
      (*names)[path] = inode;
      return;
    }
    auto it = names->find(path);
    if (it == names->end()) return;
    std::shared_ptr<Inode> moved = it->second;
    names->erase(it);
    if (kind == Kind::kRename) (*names)[to] = std::move(moved);
  }
};

class FaultEnv::FaultFile final : public File {
 public:
  FaultFile(FaultEnv* env, std::shared_ptr<Inode> inode, std::string path, uint64_t boot,
            bool writable)
      : env_(env),
        inode_(std::move(inode)),
        path_(std::move(path)),
        boot_(boot),
        writable_(writable) {}

  absl::Status WriteAt(uint64_t offset, std::string_view data) override {
    MutexLock lock(&env_->mutex_);
    if (absl::Status status = Begin(); !status.ok()) return status;
    if (std::exchange(env_->fail_write_, false)) return InputOutputError("write", path_);
    if (offset + data.size() > inode_->bytes.size()) {
      if (absl::Status status = env_->Grow(inode_.get(), offset + data.size());
          !status.ok()) {
        return status;
      }
    }
    WriteSectors(offset, data);
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, size_t size,
                                char* buffer) const override {
    MutexLock lock(&env_->mutex_);
    CheckBoot();
    if (absl::Status status = env_->PowerStatus(); !status.ok()) return status;
    if (offset >= inode_->bytes.size()) return size_t{0};
    const size_t n = std::min<uint64_t>(size, inode_->bytes.size() - offset);
    std::memcpy(buffer, inode_->bytes.data() + offset, n);
    return n;
  }

  absl::Status Sync() override {
    std::function<void()> hook;
    {
      MutexLock lock(&env_->mutex_);
      hook = env_->sync_hook_;
    }
    if (hook) hook();
    MutexLock lock(&env_->mutex_);
    if (absl::Status status = Begin(); !status.ok()) return status;
    ++env_->syncs_;
    if (std::exchange(env_->fail_sync_, false)) {
      return InputOutputError("fdatasync", path_);
    }
    inode_->before.clear();
    inode_->durable_size = inode_->bytes.size();
    return absl::OkStatus();
  }

  absl::Status Preallocate(uint64_t size) override {
    MutexLock lock(&env_->mutex_);
    if (absl::Status status = Begin(); !status.ok()) return status;
    if (size <= inode_->bytes.size()) return absl::OkStatus();
    return env_->Grow(inode_.get(), size);
  }

  absl::Status Truncate(uint64_t size) override {
    MutexLock lock(&env_->mutex_);
    if (absl::Status status = Begin(); !status.ok()) return status;
    if (size > inode_->bytes.size()) return env_->Grow(inode_.get(), size);
    inode_->bytes.resize(size);
    inode_->before.erase(inode_->before.lower_bound(size / kSector),
                         inode_->before.end());
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    MutexLock lock(&env_->mutex_);
    CheckBoot();
    if (absl::Status status = env_->PowerStatus(); !status.ok()) return status;
    return inode_->bytes.size();
  }

 private:
  void CheckBoot() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(env_->mutex_) {
    CONCORDAT_CHECK(boot_ == env_->boot_) << path_ << " is used across a crash";
  }

  absl::Status Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(env_->mutex_) {
    CheckBoot();
    CONCORDAT_CHECK(writable_) << path_ << " is open for reading only";
    return env_->Operation();
  }

  void WriteSectors(uint64_t offset, std::string_view data)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(env_->mutex_) {
    while (!data.empty()) {
      const uint64_t sector = offset / kSector;
      const size_t n = std::min<uint64_t>(data.size(), (sector + 1) * kSector - offset);
      char* at = inode_->bytes.data() + offset;
      if (std::memcmp(at, data.data(), n) != 0) {
        if (inode_->before.find(sector) == inode_->before.end()) {
          inode_->before.emplace(sector, inode_->bytes.substr(sector * kSector, kSector));
        }
        std::memcpy(at, data.data(), n);
      }
      offset += n;
      data.remove_prefix(n);
    }
  }

  FaultEnv* const env_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const uint64_t boot_;
  const bool writable_;
};

class FaultEnv::HeldLock final : public FileLock {
 public:
  HeldLock(FaultEnv* env, std::string path, uint64_t boot)
      : env_(env), path_(std::move(path)), boot_(boot) {}
  ~HeldLock() override {
    MutexLock lock(&env_->mutex_);
    auto it = env_->locks_.find(path_);
    if (it != env_->locks_.end() && it->second == boot_) env_->locks_.erase(it);
  }

 private:
  FaultEnv* const env_;
  const std::string path_;
  const uint64_t boot_;
};

FaultEnv::FaultEnv(uint64_t seed) : random_(seed) {}
FaultEnv::~FaultEnv() = default;

// After PowerOffAfter(n), n operations succeed, and then the power is off.
absl::Status FaultEnv::PowerStatus() const {
  if (operations_ < power_off_at_) return absl::OkStatus();
  return absl::UnavailableError("the power is off");
}

absl::Status FaultEnv::Operation() {
  if (absl::Status status = PowerStatus(); !status.ok()) return status;
  ++operations_;
  return absl::OkStatus();
}

absl::Status FaultEnv::Grow(Inode* inode, uint64_t size) {
  const uint64_t more = size - inode->bytes.size();
  if (capacity_ != UINT64_MAX) {
    const uint64_t used = Used();
    if (used > capacity_ || more > capacity_ - used) {
      return absl::ResourceExhaustedError("no space left on device");
    }
  }
  inode->bytes.resize(size, '\0');
  return absl::OkStatus();
}

uint64_t FaultEnv::Used() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->bytes.size();
  return used;
}

std::shared_ptr<FaultEnv::Inode> FaultEnv::Find(const std::string& path) const {
  auto it = names_.find(path);
  return it == names_.end() ? nullptr : it->second;
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::OpenAny(const std::string& path,
                                                        bool writable) {
  MutexLock lock(&mutex_);
  if (absl::Status status = PowerStatus(); !status.ok()) return status;
  std::shared_ptr<Inode> inode = Find(path);
  if (inode == nullptr) return absl::NotFoundError("opening of " + path);
  return std::make_unique<FaultFile>(this, std::move(inode), path, boot_, writable);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::Open(const std::string& path) {
  return OpenAny(path, true);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::OpenReadOnly(const std::string& path) {
  return OpenAny(path, false);
}

absl::StatusOr<std::unique_ptr<File>> FaultEnv::Create(const std::string& path) {
  MutexLock lock(&mutex_);
  if (absl::Status status = Operation(); !status.ok()) return status;
  if (Find(path) != nullptr) return absl::AlreadyExistsError("creation of " + path);
  auto inode = std::make_shared<Inode>();
  names_[path] = inode;
  pending_.push_back({PendingName::Kind::kCreate, path, "", inode});
  return std::make_unique<FaultFile>(this, std::move(inode), path, boot_, true);
}

absl::Status FaultEnv::Remove(const std::string& path) {
  MutexLock lock(&mutex_);
  if (absl::Status status = Operation(); !status.ok()) return status;
  if (names_.erase(path) == 0) return absl::NotFoundError("removal of " + path);
  pending_.push_back({PendingName::Kind::kRemove, path, "", nullptr});
  return absl::OkStatus();
}

absl::Status FaultEnv::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  if (absl::Status status = Operation(); !status.ok()) return status;
  if (Find(from) == nullptr) return absl::NotFoundError("renaming of " + from);
  pending_.push_back({PendingName::Kind::kRename, from, to, nullptr});
  pending_.back().Apply(&names_);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FaultEnv::List(const std::string& dir) {
  MutexLock lock(&mutex_);
  if (absl::Status status = PowerStatus(); !status.ok()) return status;
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (DirOf(path) == dir) names.push_back(path.substr(dir.size() + 1));
  }
  return names;
}

absl::Status FaultEnv::CreateDir(const std::string&) {
  MutexLock lock(&mutex_);
  return PowerStatus();
}

absl::Status FaultEnv::SyncDir(const std::string& dir) {
  MutexLock lock(&mutex_);
  if (absl::Status status = Operation(); !status.ok()) return status;
  if (std::exchange(fail_sync_dir_, false)) return InputOutputError("fsync", dir);
  std::vector<PendingName> others;
  for (PendingName& pending : pending_) {
    if (DirOf(pending.path) == dir) {
      pending.Apply(&durable_names_);
    } else {
      others.push_back(std::move(pending));
    }
  }
  pending_ = std::move(others);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> FaultEnv::Lock(const std::string& path) {
  MutexLock lock(&mutex_);
  if (absl::Status status = PowerStatus(); !status.ok()) return status;
  if (!locks_.emplace(path, boot_).second) {
    return absl::FailedPreconditionError(path + " is locked by another process");
  }
  return std::make_unique<HeldLock>(this, path, boot_);
}

uint64_t FaultEnv::NewId() {
  MutexLock lock(&mutex_);
  return random_.Next() | 1;
}

void FaultEnv::Crash(Unsynced unsynced) {
  MutexLock lock(&mutex_);
  // First the bytes: which names a file has afterwards does not matter for them.
  std::set<Inode*> seen;
  for (const Names* names : {&names_, &durable_names_}) {
    for (const auto& [path, inode] : *names) {
      if (seen.insert(inode.get()).second) CrashBytes(inode.get(), unsynced);
    }
  }
  CrashNames(unsynced);
  locks_.clear();
  ++boot_;
  power_off_at_ = UINT64_MAX;
  fail_write_ = fail_sync_ = fail_sync_dir_ = false;
}

void FaultEnv::CrashBytes(Inode* inode, Unsynced unsynced) {
  // Most real crashes keep all or nothing, so these are drawn often.
  const uint64_t draw = random_.Below(4);
  if (unsynced == Unsynced::kRandom) {
    if (draw == 0) unsynced = Unsynced::kDropAll;
    if (draw == 1) unsynced = Unsynced::kKeepAll;
  }
  for (const auto& [sector, old] : inode->before) {
    const bool keep = unsynced == Unsynced::kKeepAll ||
                      (unsynced == Unsynced::kRandom && random_.Percent(50));
    if (!keep) {
      std::memcpy(inode->bytes.data() + sector * kSector, old.data(), old.size());
    }
  }
  const bool keep_size = unsynced == Unsynced::kKeepAll ||
                         (unsynced == Unsynced::kRandom && random_.Percent(50));
  if (!keep_size) inode->bytes.resize(inode->durable_size, '\0');
  inode->before.clear();
  inode->durable_size = inode->bytes.size();
}

void FaultEnv::CrashNames(Unsynced unsynced) {
  const uint64_t draw = random_.Below(4);
  if (unsynced == Unsynced::kRandom) {
    if (draw == 0) unsynced = Unsynced::kDropAll;
    if (draw == 1) unsynced = Unsynced::kKeepAll;
  }
  // In half of the other cases the first few changes are kept, as a journal would.
  const size_t prefix = draw == 2 ? random_.Below(pending_.size() + 1) : pending_.size();
  for (size_t i = 0; i < pending_.size(); ++i) {
    const bool keep =
        unsynced == Unsynced::kKeepAll || (unsynced == Unsynced::kRandom && i < prefix &&
                                           (draw == 2 || random_.Percent(50)));
    if (keep) pending_[i].Apply(&durable_names_);
  }
  pending_.clear();
  names_ = durable_names_;
}

void FaultEnv::PowerOffAfter(uint64_t operations) {
  MutexLock lock(&mutex_);
  power_off_at_ = operations_ + operations;
}

uint64_t FaultEnv::operations() const {
  MutexLock lock(&mutex_);
  return operations_;
}

void FaultEnv::FailNextWrite() {
  MutexLock lock(&mutex_);
  fail_write_ = true;
}

void FaultEnv::FailNextSync() {
  MutexLock lock(&mutex_);
  fail_sync_ = true;
}

void FaultEnv::FailNextSyncDir() {
  MutexLock lock(&mutex_);
  fail_sync_dir_ = true;
}

void FaultEnv::SetCapacity(uint64_t bytes) {
  MutexLock lock(&mutex_);
  capacity_ = bytes;
}

uint64_t FaultEnv::used_bytes() const {
  MutexLock lock(&mutex_);
  return Used();
}

void FaultEnv::FlipBit(const std::string& path, uint64_t offset, int bit) {
  MutexLock lock(&mutex_);
  std::shared_ptr<Inode> inode = Find(path);
  CONCORDAT_CHECK(inode != nullptr && offset < inode->bytes.size()) << path;
  inode->bytes[offset] = static_cast<char>(inode->bytes[offset] ^ (1 << bit));
}

void FaultEnv::ZeroFrom(const std::string& path, uint64_t offset) {
  MutexLock lock(&mutex_);
  std::shared_ptr<Inode> inode = Find(path);
  CONCORDAT_CHECK(inode != nullptr && offset <= inode->bytes.size()) << path;
  std::fill(inode->bytes.begin() + static_cast<ptrdiff_t>(offset), inode->bytes.end(),
            '\0');
}

void FaultEnv::Resize(const std::string& path, uint64_t size) {
  MutexLock lock(&mutex_);
  std::shared_ptr<Inode> inode = Find(path);
  CONCORDAT_CHECK(inode != nullptr) << path;
  inode->bytes.resize(size, '\0');
  inode->before.erase(inode->before.lower_bound(size / kSector), inode->before.end());
  inode->durable_size = size;
}

void FaultEnv::SetSyncHook(std::function<void()> hook) {
  MutexLock lock(&mutex_);
  sync_hook_ = std::move(hook);
}

uint64_t FaultEnv::sync_count() const {
  MutexLock lock(&mutex_);
  return syncs_;
}

std::unique_ptr<FaultEnv> FaultEnv::Clone(uint64_t seed) const {
  auto copy = std::make_unique<FaultEnv>(seed);
  MutexLock lock(&mutex_);
  MutexLock copy_lock(&copy->mutex_);
  for (const auto& [path, inode] : names_) {
    auto twin = std::make_shared<Inode>();
    twin->bytes = inode->bytes;
    twin->durable_size = twin->bytes.size();
    copy->names_[path] = twin;
    copy->durable_names_[path] = std::move(twin);
  }
  return copy;
}

}  // namespace concordat
