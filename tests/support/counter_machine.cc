#include "tests/support/counter_machine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kCountersInAPortion = 4;

}  // namespace

std::string EncodeCommand(const AddCommand& command) {
  ByteWriter out;
  out.U8(kVersion);
  out.Varint(command.term.value());
  out.Varint(command.number);
  out.Bytes(command.name);
  out.Varint(command.amount);
  out.Bytes(command.padding);
  return out.Take();
}

absl::StatusOr<AddCommand> DecodeCommand(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.U8();
  if (in.ok() && version != kVersion) {
    return absl::UnimplementedError(absl::StrCat("counters of version ", version));
  }
  AddCommand command;
  command.term = Term(in.Varint());
  command.number = in.Varint();
  command.name = std::string(in.Bytes());
  command.amount = in.Varint();
  command.padding = std::string(in.Bytes());
  if (!in.complete()) return absl::DataLossError("no command of the counters");
  return command;
}

// --- What is asked -------------------------------------------------------------------

void CounterMachine::Add(uint64_t token, const std::string& name, uint64_t amount,
                         std::string padding) {
  if (!ready_ || !admits_) {
    answers_.push_back({token, CounterAnswer::Kind::kNotBegun});
    return;
  }
  adding_[++last_number_] = token;
  proposals_.push_back(
      EncodeCommand({*term_, last_number_, name, amount, std::move(padding)}));
}

void CounterMachine::Read(uint64_t token, const std::string& name) {
  if (!ready_) {
    answers_.push_back({token, CounterAnswer::Kind::kNotBegun});
    return;
  }
  reads_.emplace_back(token);
  reading_[reads_.back()] = name;
}

std::vector<CounterAnswer> CounterMachine::TakeAnswers() {
  return std::exchange(answers_, {});
}

// --- The log -------------------------------------------------------------------------

absl::Status CounterMachine::Check(std::string_view command) const {
  return DecodeCommand(command).status();
}

absl::Status CounterMachine::Apply(LogIndex index, std::string_view bytes, Timestamp) {
  CONCORDAT_CHECK(index > state_.last_applied) << index << " twice";
  const auto command = DecodeCommand(bytes);
  if (!command.ok()) return command.status();
  uint64_t& counter = state_.counters[command->name];
  counter += command->amount;
  state_.last_applied = index;
  state_.digest = (state_.digest ^ index.value() ^ counter) * 0x9E3779B97F4A7C15u;
  if (!ready_ || command->term != *term_) return absl::OkStatus();
  const auto asked = adding_.find(command->number);
  CONCORDAT_CHECK(asked != adding_.end()) << "command " << command->number << " twice";
  answers_.push_back({asked->second, CounterAnswer::Kind::kDone, counter});
  adding_.erase(asked);
  return absl::OkStatus();
}

void CounterMachine::BecomeLeader(Term term, Timestamp now) {
  LoseLeadership(now);
  term_ = term;
  last_number_ = 0;
}

void CounterMachine::LeaderReady(Term term, Timestamp) {
  if (term_ == term) ready_ = true;
}

void CounterMachine::LoseLeadership(Timestamp) {
  for (const auto& [number, token] : std::exchange(adding_, {})) {
    answers_.push_back({token, CounterAnswer::Kind::kUnknown});
  }
  for (const auto& [token, name] : std::exchange(reading_, {})) {
    answers_.push_back({token.value(), CounterAnswer::Kind::kNotBegun});
  }
  proposals_.clear();
  reads_.clear();
  term_.reset();
  ready_ = false;
}

std::vector<std::string> CounterMachine::TakeProposals() {
  return std::exchange(proposals_, {});
}

std::vector<group::ReadToken> CounterMachine::TakeReads() {
  return std::exchange(reads_, {});
}

void CounterMachine::OnReadConfirmed(group::ReadToken token, Timestamp) {
  const auto asked = reading_.find(token);
  if (asked == reading_.end()) return;
  const auto counter = state_.counters.find(asked->second);
  const uint64_t value = counter == state_.counters.end() ? 0 : counter->second;
  answers_.push_back({token.value(), CounterAnswer::Kind::kDone, value});
  reading_.erase(asked);
}

// --- Snapshots -----------------------------------------------------------------------

// Each portion: version, last applied index, digest (8), then names and values.
class CounterMachine::Source final : public group::SnapshotSource {
 public:
  explicit Source(State state) : state_(std::move(state)) {}

  std::optional<std::string> Next() override {
    if (!first_ && state_.counters.empty()) return std::nullopt;
    first_ = false;
    ByteWriter out;
    out.U8(kVersion);
    out.Varint(state_.last_applied.value());
    out.U64(state_.digest);
    for (size_t i = 0; i < kCountersInAPortion && !state_.counters.empty(); ++i) {
      const auto counter = state_.counters.begin();
      out.Bytes(counter->first);
      out.Varint(counter->second);
      state_.counters.erase(counter);
    }
    return out.Take();
  }

 private:
  State state_;
  bool first_ = true;
};

class CounterMachine::Restore final : public group::SnapshotRestore {
 public:
  Restore(CounterMachine* machine, LogIndex at) : machine_(machine), at_(at) {}

  absl::Status Append(std::string_view portion) override {
    ByteReader in(portion);
    if (in.U8() != kVersion) return absl::UnimplementedError("another version");
    state_.last_applied = LogIndex(in.Varint());
    state_.digest = in.U64();
    while (!in.at_end() && in.ok()) {
      std::string name(in.Bytes());
      state_.counters[std::move(name)] = in.Varint();
    }
    any_ = true;
    return in.ok() ? absl::OkStatus() : absl::DataLossError("no portion of counters");
  }
  absl::Status Finish() override {
    if (!any_) return absl::DataLossError("a snapshot without counters");
    if (state_.last_applied > at_) return absl::DataLossError("a later state");
    return absl::OkStatus();
  }
  void Install() override {
    CONCORDAT_CHECK(!machine_->term_) << "a leader restores nothing";
    std::swap(machine_->state_, state_);
  }

 private:
  CounterMachine* const machine_;
  const LogIndex at_;
  State state_;
  bool any_ = false;
};

std::unique_ptr<group::SnapshotSource> CounterMachine::TakeSnapshot() {
  return std::make_unique<Source>(state_);
}

std::unique_ptr<group::SnapshotRestore> CounterMachine::BeginRestore(LogIndex at) {
  return std::make_unique<Restore>(this, at);
}

}  // namespace concordat::testing
