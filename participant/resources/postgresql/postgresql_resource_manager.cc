#include "participant/resources/postgresql/postgresql_resource_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/postgresql/engine.h"
#include "participant/resources/postgresql/schema.h"

namespace concordat::participant {

std::string PostgresqlInitSql(const std::string& role) {
  return postgresql::InitSql(role);
}

// Several statements in one simple query are one transaction (PostgreSQL 15 manual,
// 55.2.2.1 "Multiple Statements in a Simple Query").
absl::Status RunPostgresqlInit(const std::string& url, const std::string& role) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(url.c_str()),
                                                              PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(PQerrorMessage(connection.get()));
  }
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const postgresql::Result result(
      PQexec(connection.get(), PostgresqlInitSql(role).c_str()));
  if (postgresql::SqlState(result.get()).empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(postgresql::ErrorText(result.get()));
}

PostgresqlResourceManager::PostgresqlResourceManager(std::string url,
                                                     PostgresqlOptions options)
    : engine_(std::make_unique<postgresql::Engine>(std::move(url), std::move(options))) {}

PostgresqlResourceManager::~PostgresqlResourceManager() = default;

void PostgresqlResourceManager::OnFound(FoundCallback found) {
  engine_->OnFound(std::move(found));
}
void PostgresqlResourceManager::Recover(
    ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  engine_->Recover(cluster, std::move(done));
}
absl::Status PostgresqlResourceManager::Start(const BranchId& branch,
                                              const StartOptions& options) {
  return engine_->Start(branch, options);
}
absl::StatusOr<wire::ApplicationManagedBranch>
PostgresqlResourceManager::StartApplicationManaged(const BranchId& branch,
                                                   const StartOptions& options) {
  return engine_->StartApplicationManaged(branch, options);
}
void PostgresqlResourceManager::Execute(const BranchId& branch,
                                        const wire::ExecuteRequest& request,
                                        Callback<wire::ExecuteReply> done) {
  engine_->Execute(branch, request, std::move(done));
}
// Nothing to do: the branch's state says whether calls may come.
void PostgresqlResourceManager::End(const BranchId& /*branch*/) {}
void PostgresqlResourceManager::Prepare(const BranchId& branch,
                                        Callback<PrepareResult> done) {
  engine_->Prepare(branch, std::move(done));
}
void PostgresqlResourceManager::Commit(const BranchId& branch,
                                       Callback<FinishResult> done) {
  engine_->Commit(branch, std::move(done));
}
void PostgresqlResourceManager::CommitOnePhase(const BranchId& branch,
                                               Callback<OnePhaseResult> done) {
  engine_->CommitOnePhase(branch, std::move(done));
}
void PostgresqlResourceManager::Rollback(const BranchId& branch,
                                         Callback<FinishResult> done) {
  engine_->Rollback(branch, std::move(done));
}
void PostgresqlResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  engine_->LookUp(branch, std::move(done));
}
void PostgresqlResourceManager::ForgetBelow(const Gtid& watermark) {
  engine_->ForgetBelow(watermark);
}
void PostgresqlResourceManager::Close() { engine_->Close(); }
void PostgresqlResourceManager::Scan(Callback<absl::StatusOr<PreparedScan>> done) {
  engine_->Scan(std::move(done));
}
std::string PostgresqlResourceManager::store_id() const { return engine_->store_id(); }

uint64_t PostgresqlResourceManager::generation() const {
  return engine_->first_generation();
}
void PostgresqlResourceManager::SetGeneration(uint64_t generation,
                                              Callback<absl::Status> done) {
  engine_->SetGeneration(generation, std::move(done));
}

std::string PostgresqlResourceManager::unavailable() const {
  return engine_->WhyNotServed();
}

PostgresqlStats PostgresqlResourceManager::Stats() const { return engine_->Stats(); }

}  // namespace concordat::participant
