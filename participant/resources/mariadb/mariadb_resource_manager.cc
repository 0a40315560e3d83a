#include "participant/resources/mariadb/mariadb_resource_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/engine.h"

namespace concordat::participant {

std::string MariadbInitSql() { return mariadb::InitSql(); }

absl::Status RunMariadbInit(const std::string& url) {
  const absl::StatusOr<mariadb::Address> address = mariadb::ParseAddress(url);
  if (!address.ok()) return address.status();
  const std::unique_ptr<MYSQL, void (*)(MYSQL*)> session(mysql_init(nullptr),
                                                         mysql_close);
  mariadb::ApplyAddress(*address, session.get());
  const auto failed = [&session](absl::StatusCode code) {
    return absl::Status(
        code, absl::StrCat(mysql_errno(session.get()), ": ", mysql_error(session.get())));
  };
  if (mariadb::ConnectTo(*address, session.get()) == nullptr) {
    return failed(absl::StatusCode::kUnavailable);
  }
  // A server's default may be 0.
  const std::string sql = absl::StrCat("SET SESSION autocommit=1;", MariadbInitSql());
  int more = mysql_real_query(session.get(), sql.data(), sql.size());
  while (more == 0) more = mysql_next_result(session.get());
  return more < 0 ? absl::OkStatus() : failed(absl::StatusCode::kFailedPrecondition);
}

MariadbResourceManager::MariadbResourceManager(std::string url, MariadbOptions options)
    : engine_(std::make_unique<mariadb::Engine>(std::move(url), std::move(options))) {}

MariadbResourceManager::~MariadbResourceManager() = default;

void MariadbResourceManager::Recover(
    ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  engine_->Recover(cluster, std::move(done));
}
void MariadbResourceManager::OnFound(FoundCallback found) {
  engine_->OnFound(std::move(found));
}
absl::Status MariadbResourceManager::Start(const BranchId& branch,
                                           const StartOptions& options) {
  return engine_->Start(branch, options);
}
void MariadbResourceManager::Execute(const BranchId& branch,
                                     const wire::ExecuteRequest& request,
                                     Callback<wire::ExecuteReply> done) {
  engine_->Execute(branch, request, std::move(done));
}
// Nothing to do: the branch's state says whether calls may come.
void MariadbResourceManager::End(const BranchId& /*branch*/) {}
void MariadbResourceManager::Prepare(const BranchId& branch,
                                     Callback<PrepareResult> done) {
  engine_->Prepare(branch, std::move(done));
}
void MariadbResourceManager::Commit(const BranchId& branch, Callback<FinishResult> done) {
  engine_->Commit(branch, std::move(done));
}
void MariadbResourceManager::CommitOnePhase(const BranchId& branch,
                                            Callback<OnePhaseResult> done) {
  engine_->CommitOnePhase(branch, std::move(done));
}
void MariadbResourceManager::Rollback(const BranchId& branch,
                                      Callback<FinishResult> done) {
  engine_->Rollback(branch, std::move(done));
}
void MariadbResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  engine_->LookUp(branch, std::move(done));
}
void MariadbResourceManager::ForgetBelow(const Gtid& watermark) {
  engine_->ForgetBelow(watermark);
}
void MariadbResourceManager::Close() { engine_->Close(); }
void MariadbResourceManager::Scan(Callback<absl::StatusOr<MariadbPreparedScan>> done) {
  engine_->Scan(std::move(done));
}
std::string MariadbResourceManager::store_id() const { return engine_->store_id(); }
uint64_t MariadbResourceManager::generation() const {
  return engine_->first_generation();
}
void MariadbResourceManager::SetGeneration(uint64_t generation,
                                           Callback<absl::Status> done) {
  engine_->SetGeneration(generation, std::move(done));
}
std::string MariadbResourceManager::unavailable() const {
  return engine_->WhyNotServed();
}

MariadbStats MariadbResourceManager::Stats() const { return engine_->Stats(); }

}  // namespace concordat::participant
