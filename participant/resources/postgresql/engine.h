// PostgreSQL behind its interface: see participant/resources/database/engine.h.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_ENGINE_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_ENGINE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/database/engine.h"
#include "participant/resources/postgresql/application_managed.h"
#include "participant/resources/postgresql/branch_work.h"
#include "participant/resources/postgresql/guard.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"

namespace concordat::participant::postgresql {

struct EngineTypes : BranchTypes {
  using Guard = postgresql::Guard;
  using BranchWork = postgresql::BranchWork;
  using Scan = PreparedScan;
};

class Engine final : public database::Engine<EngineTypes> {
 public:
  Engine(std::string url, PostgresqlOptions options)
      : database::Engine<EngineTypes>(std::move(url), std::move(options)) {}
  ~Engine() { Close(); }

  absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& branch, const StartOptions& options);
  [[nodiscard]] PostgresqlStats Stats() const;
  // After Recover's callback.
  [[nodiscard]] const std::string& store_id() const { return server_.store_id; }

 private:
  [[nodiscard]] absl::Status CheckUrlAndIsolation() override;
  void Build(ClusterId cluster) override;
  [[nodiscard]] std::vector<Statement> QuestionsAtStart() const override;
  [[nodiscard]] absl::Status TakeAnswersAtStart(const BatchResult& answers) override;
  [[nodiscard]] absl::StatusOr<std::string> BeginSqlOf(
      const std::string& isolation) const override;
  void OnRecovered(PreparedScan scan) override;

  std::shared_ptr<std::string> guard_pid_ = std::make_shared<std::string>();
  Server server_;
  ClusterId cluster_;
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_ENGINE_H_
