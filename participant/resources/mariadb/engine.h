// MariaDB behind its interface: see participant/resources/database/engine.h.
#ifndef PARTICIPANT_RESOURCES_MARIADB_ENGINE_H_
#define PARTICIPANT_RESOURCES_MARIADB_ENGINE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/database/engine.h"
#include "participant/resources/mariadb/address.h"
#include "participant/resources/mariadb/branch_work.h"
#include "participant/resources/mariadb/guard.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"

namespace concordat::participant::mariadb {

struct EngineTypes : BranchTypes {
  using Guard = mariadb::Guard;
  using BranchWork = mariadb::BranchWork;
  using Scan = MariadbPreparedScan;
};

class Engine final : public database::Engine<EngineTypes> {
 public:
  Engine(std::string url, MariadbOptions options)
      : database::Engine<EngineTypes>(std::move(url), std::move(options)) {}
  ~Engine() { Close(); }

  [[nodiscard]] MariadbStats Stats() const;
  // After Recover's callback.
  [[nodiscard]] const std::string& store_id() const { return store_id_; }

 private:
  [[nodiscard]] absl::Status CheckUrlAndIsolation() override;
  void Build(ClusterId cluster) override;
  [[nodiscard]] std::vector<Statement> QuestionsAtStart() const override;
  [[nodiscard]] absl::Status TakeAnswersAtStart(const BatchResult& answers) override;
  [[nodiscard]] absl::StatusOr<std::string> BeginSqlOf(
      const std::string& isolation) const override;

  Address address_;
  std::shared_ptr<std::string> guard_id_ = std::make_shared<std::string>();
  std::string store_id_;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_ENGINE_H_
