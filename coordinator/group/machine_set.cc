#include "coordinator/group/machine_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::group {

namespace {

absl::Status UnknownMachine(MachineId machine) {
  return absl::UnimplementedError(absl::StrCat("state machine ",
                                               static_cast<uint32_t>(machine.value()),
                                               " is not known: upgrade this node"));
}

// Returns the portions of the machines' sources, one machine after the other.
class SetSource final : public SnapshotSource {
 public:
  using Section = std::pair<MachineId, std::unique_ptr<SnapshotSource>>;
  explicit SetSource(std::vector<Section> sections) : sections_(std::move(sections)) {}

  std::optional<std::string> Next() override {
    for (; at_ < sections_.size(); ++at_) {
      auto& [machine, source] = sections_[at_];
      if (auto portion = source->Next()) {
        return JoinCommand(machine, *std::move(portion));
      }
      source.reset();
    }
    return std::nullopt;
  }

 private:
  std::vector<Section> sections_;
  size_t at_ = 0;
};

class SetRestore final : public SnapshotRestore {
 public:
  using Sections = std::map<MachineId, std::unique_ptr<SnapshotRestore>>;
  explicit SetRestore(Sections sections) : sections_(std::move(sections)) {}

  absl::Status Append(std::string_view portion) override {
    const auto split = SplitCommand(portion);
    if (!split.ok()) return split.status();
    const auto section = sections_.find(split->machine);
    if (section == sections_.end()) return UnknownMachine(split->machine);
    return section->second->Append(split->command);
  }
  absl::Status Finish() override {
    for (auto& [machine, section] : sections_) {
      if (absl::Status s = section->Finish(); !s.ok()) return s;
    }
    return absl::OkStatus();
  }
  void Install() override {
    for (auto& [machine, section] : sections_) section->Install();
  }

 private:
  Sections sections_;
};

}  // namespace

absl::StatusOr<MachineCommand> SplitCommand(std::string_view bytes) {
  if (bytes.empty()) return absl::DataLossError("an empty command");
  return MachineCommand{MachineId(static_cast<uint8_t>(bytes[0])), bytes.substr(1)};
}

std::string JoinCommand(MachineId machine, std::string command) {
  command.insert(command.begin(), static_cast<char>(machine.value()));
  return command;
}

MachineSet::MachineSet(std::map<MachineId, StateMachine*> machines)
    : machines_(std::move(machines)) {
  CONCORDAT_CHECK(!machines_.empty()) << "a group without a state machine";
}

absl::StatusOr<StateMachine*> MachineSet::Find(MachineId machine) const {
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return UnknownMachine(machine);
  return found->second;
}

absl::Status MachineSet::Check(std::string_view command) const {
  const auto split = SplitCommand(command);
  if (!split.ok()) return split.status();
  const auto machine = Find(split->machine);
  return machine.ok() ? (*machine)->Check(split->command) : machine.status();
}

absl::Status MachineSet::Apply(LogIndex index, std::string_view command, Timestamp now) {
  const auto split = SplitCommand(command);
  if (!split.ok()) return split.status();
  const auto machine = Find(split->machine);
  return machine.ok() ? (*machine)->Apply(index, split->command, now) : machine.status();
}

void MachineSet::BecomeLeader(Term term, Timestamp now) {
  for (const auto& [id, machine] : machines_) machine->BecomeLeader(term, now);
}

void MachineSet::LeaderReady(Term term, Timestamp now) {
  for (const auto& [id, machine] : machines_) machine->LeaderReady(term, now);
}

void MachineSet::LoseLeadership(Timestamp now) {
  reads_.clear();
  for (const auto& [id, machine] : machines_) machine->LoseLeadership(now);
}

void MachineSet::AdmitNewWork(bool admit) {
  for (const auto& [id, machine] : machines_) machine->AdmitNewWork(admit);
}

void MachineSet::Tick(Timestamp now) {
  for (const auto& [id, machine] : machines_) machine->Tick(now);
}

bool MachineSet::HasMoreWork() const {
  return std::any_of(machines_.begin(), machines_.end(),
                     [](const auto& machine) { return machine.second->HasMoreWork(); });
}

Timestamp MachineSet::NextTimer() const {
  Timestamp next = Timestamp::Infinite();
  for (const auto& [id, machine] : machines_) next = std::min(next, machine->NextTimer());
  return next;
}

std::vector<std::string> MachineSet::TakeProposals() {
  std::vector<std::string> proposals;
  for (const auto& [id, machine] : machines_) {
    for (std::string& command : machine->TakeProposals()) {
      proposals.push_back(JoinCommand(id, std::move(command)));
    }
  }
  return proposals;
}

std::vector<ReadToken> MachineSet::TakeReads() {
  std::vector<ReadToken> tokens;
  for (const auto& [id, machine] : machines_) {
    for (const ReadToken read : machine->TakeReads()) {
      tokens.emplace_back(++last_read_);
      reads_.emplace(tokens.back(), std::make_pair(machine, read));
    }
  }
  return tokens;
}

void MachineSet::OnReadConfirmed(ReadToken token, Timestamp now) {
  const auto found = reads_.find(token);
  if (found == reads_.end()) return;
  const auto [machine, read] = found->second;
  reads_.erase(found);
  machine->OnReadConfirmed(read, now);
}

std::unique_ptr<SnapshotSource> MachineSet::TakeSnapshot() {
  std::vector<SetSource::Section> sections;
  for (const auto& [id, machine] : machines_) {
    sections.emplace_back(id, machine->TakeSnapshot());
  }
  return std::make_unique<SetSource>(std::move(sections));
}

std::unique_ptr<SnapshotRestore> MachineSet::BeginRestore(LogIndex at) {
  SetRestore::Sections sections;
  for (const auto& [id, machine] : machines_) {
    sections.emplace(id, machine->BeginRestore(at));
  }
  return std::make_unique<SetRestore>(std::move(sections));
}

}  // namespace concordat::group
