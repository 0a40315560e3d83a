#include "participant/resources/sqlite/sqlite_resource_manager.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/sqlite/writer.h"

namespace concordat::participant {

namespace {

absl::StatusOr<bool> IsSerializable(const std::string& isolation) {
  if (isolation == "read-committed") return false;
  if (isolation == "serializable") return true;
  return absl::InvalidArgumentError(absl::StrCat(
      "isolation \"", isolation, "\" is not known here: read-committed or serializable"));
}

}  // namespace

SqliteResourceManager::SqliteResourceManager(std::string path, SqliteOptions options)
    : path_(std::move(path)),
      options_(std::move(options)),
      writer_(std::make_unique<sqlite::Writer>(path_, options_)) {}

SqliteResourceManager::~SqliteResourceManager() { Close(); }

std::string SqliteResourceManager::store_id() const { return writer_->store_id(); }

uint64_t SqliteResourceManager::generation() const { return writer_->first_generation(); }

void SqliteResourceManager::SetGeneration(uint64_t generation,
                                          Callback<absl::Status> done) {
  sqlite::Job job{BranchId(), sqlite::GenerationJob{generation, std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::GenerationJob>(job.work).done(
      absl::UnavailableError("the file is not open"));
}

void SqliteResourceManager::Recover(
    ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  const absl::StatusOr<bool> isolation = IsSerializable(options_.default_isolation);
  if (!isolation.ok()) {
    done(isolation.status());
    return;
  }
  writer_->Open(cluster, std::move(done));
}

absl::Status SqliteResourceManager::Start(const BranchId& branch,
                                          const StartOptions& options) {
  const absl::StatusOr<bool> serializable = IsSerializable(
      options.isolation.empty() ? options_.default_isolation : options.isolation);
  if (!serializable.ok()) return serializable.status();
  if (!writer_->is_open()) {
    return absl::UnavailableError(absl::StrCat(path_, " is not open"));
  }
  if (absl::Status s = writer_->Admit(); !s.ok()) return s;
  const Gtid age = options.age.is_none() ? branch.gtid : options.age;
  if (!writer_->Push({branch, sqlite::StartJob{age, *serializable}})) {
    return absl::UnavailableError(absl::StrCat(path_, " is being closed"));
  }
  return absl::OkStatus();
}

void SqliteResourceManager::Execute(const BranchId& branch,
                                    const wire::ExecuteRequest& request,
                                    Callback<wire::ExecuteReply> done) {
  sqlite::Job job{branch, sqlite::ExecuteJob{&request, std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::ExecuteJob>(job.work).done(
      sqlite::MakeReply(wire::Code::UNAVAILABLE, "the file is not open"));
}

// Nothing to do: the branch's state says whether more calls may come.
void SqliteResourceManager::End(const BranchId& /*branch*/) {}

void SqliteResourceManager::Prepare(const BranchId& branch,
                                    Callback<PrepareResult> done) {
  sqlite::Job job{branch, sqlite::PrepareJob{std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::PrepareJob>(job.work).done(
      {Vote::kUnavailable, "the file is not open"});
}

void SqliteResourceManager::Commit(const BranchId& branch, Callback<FinishResult> done) {
  sqlite::Job job{branch, sqlite::CommitJob{std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::CommitJob>(job.work).done(
      {FinishState::kRetry, "the file is not open"});
}

void SqliteResourceManager::CommitOnePhase(const BranchId& branch,
                                           Callback<OnePhaseResult> done) {
  sqlite::Job job{branch, sqlite::OnePhaseJob{std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::OnePhaseJob>(job.work).done(
      {OnePhase::kUnknown, "the file is not open"});
}

void SqliteResourceManager::Rollback(const BranchId& branch,
                                     Callback<FinishResult> done) {
  sqlite::Job job{branch, sqlite::RollbackJob{std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::RollbackJob>(job.work).done(
      {FinishState::kRetry, "the file is not open"});
}

void SqliteResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  sqlite::Job job{branch, sqlite::LookUpJob{std::move(done)}};
  if (writer_->Push(std::move(job))) return;
  std::get<sqlite::LookUpJob>(job.work).done(Evidence::kUnknown);
}

void SqliteResourceManager::ForgetBelow(const Gtid& watermark) {
  BranchId below;
  below.gtid = watermark;
  (void)writer_->Push({below, sqlite::ForgetJob{}});
}

void SqliteResourceManager::Close() { writer_->Close(); }

}  // namespace concordat::participant
