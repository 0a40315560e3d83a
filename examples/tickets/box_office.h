// The processes of a run: three coordinators, the seat service, and a PostgreSQL and a
// MariaDB server with a participant each.
//
//   BoxOffice office(programs, folder, &supervisor);
//   absl::Status started = office.Start(plan);   // all run, every buyer has an account
//   example::Nemesis nemesis(kills, &office, /*watch=*/nullptr, seed, say);
#ifndef EXAMPLES_TICKETS_BOX_OFFICE_H_
#define EXAMPLES_TICKETS_BOX_OFFICE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/client/client.h"
#include "examples/processes/database_server.h"
#include "examples/processes/nemesis.h"
#include "examples/processes/observer.h"
#include "examples/processes/programs.h"
#include "examples/processes/reserved_port.h"
#include "examples/processes/supervisor.h"
#include "examples/tickets/plan.h"

namespace concordat::tickets {

struct Programs {
  example::Programs concordat;
  std::string seats;
};
// NOT_FOUND names what is missing.
[[nodiscard]] absl::StatusOr<Programs> FindPrograms();

// For the main thread. The supervisor must outlive it.
class BoxOffice final : public example::Victims {
 public:
  BoxOffice(Programs programs, std::string folder, example::Supervisor* supervisor)
      : programs_(std::move(programs)),
        folder_(std::move(folder)),
        supervisor_(supervisor) {}
  ~BoxOffice() override { observer_.reset(); }

  // An error: something has not started in time.
  [[nodiscard]] absl::Status Start(const Plan& plan);
  [[nodiscard]] client::Client* client() { return client_.get(); }
  // Counts what is not over at the coordinators, at the participants, and in the
  // databases themselves (pg_prepared_xacts, XA RECOVER).
  [[nodiscard]] absl::StatusOr<example::OpenWork> CountOpen();
  // An error: a process has ended by itself.
  [[nodiscard]] absl::Status Check() { return supervisor_->CheckAll(); }
  // Stops all processes. Returns the names of those that have not ended cleanly.
  [[nodiscard]] std::vector<std::string> Stop();

  // --- Victims. The resources are those of plan.h ---
  std::optional<example::LeaderView> Leader() const override {
    return observer_->Leader();
  }
  std::optional<int64_t> AppliedIndex(size_t node) const override {
    return observer_->AppliedIndex(node);
  }
  absl::Status KillNode(size_t node) override;
  absl::Status RestartNode(size_t node) override;
  absl::Status KillServerOf(const std::string& resource) override;
  absl::Status RestartServerOf(const std::string& resource) override;
  absl::Status KillDatabaseOf(const std::string& resource) override;
  absl::Status RestartDatabaseOf(const std::string& resource) override;

 private:
  [[nodiscard]] absl::Status ReservePorts();
  [[nodiscard]] absl::Status StartDatabases(const Plan& plan);
  [[nodiscard]] absl::Status MakeReady(const std::string& resource,
                                       const std::string& sql);
  void AddNode(size_t node);
  void AddSeats();
  void AddParticipant(const std::string& resource);
  [[nodiscard]] example::Program MakeProgram(const std::string& name,
                                             std::vector<std::string> words) const;
  [[nodiscard]] absl::Status Connect();

  const Programs programs_;
  const std::string folder_;
  example::Supervisor* const supervisor_;
  std::vector<example::ReservedPort> peer_ports_;    // by node
  std::vector<example::ReservedPort> client_ports_;  // by node
  std::map<std::string, example::ReservedPort> resource_ports_;
  std::map<std::string, std::unique_ptr<example::DatabaseServer>> databases_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<example::Observer> observer_;  // on the client's loop
};

}  // namespace concordat::tickets

#endif  // EXAMPLES_TICKETS_BOX_OFFICE_H_
