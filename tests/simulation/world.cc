#include "tests/simulation/world.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/check.h"

namespace concordat::simulation {

World::World(uint64_t seed)
    : seed_(seed),
      random_(seed),
      network_(&queue_, random_.Next(),
               [this](const Packet& packet) { Deliver(packet); }) {}

const World::Host& World::HostOf(ProcessId process) const {
  CONCORDAT_CHECK(process.value() >= 1 && process.value() <= hosts_.size());
  return hosts_[process.value() - 1];
}

World::Host& World::HostOf(ProcessId process) {
  return const_cast<Host&>(std::as_const(*this).HostOf(process));
}

ProcessId World::AddProcess(std::string name, Process* process) {
  Host host;
  host.name = std::move(name);
  host.process = process;
  host.clock = std::make_unique<LocalClock>(&queue_);
  hosts_.push_back(std::move(host));
  return ProcessId(static_cast<uint32_t>(hosts_.size()));
}

bool World::Step() {
  if (failed() || !queue_.RunNext()) {
    return false;
  }
  if (after_event_) {
    after_event_();
  }
  return true;
}

void World::RunUntil(Timestamp when) {
  bool reached = false;
  queue_.At(when, [&reached] { reached = true; });
  while (!reached && Step()) {
  }
  CONCORDAT_CHECK(reached || failed());
  if (!reached) {
    // The event above refers to this frame, and nothing runs after a failure.
    return;
  }
}

void World::After(ProcessId process, Duration delay, Action action) {
  queue_.At(now() + delay, [this, process, incarnation = HostOf(process).incarnation,
                            action = std::move(action)]() mutable {
    Run(process, incarnation, std::move(action));
  });
}

void World::Run(ProcessId process, uint64_t incarnation, Action action) {
  Host& host = HostOf(process);
  if (!host.up || host.incarnation != incarnation) {
    return;
  }
  if (host.paused) {
    host.waiting.push_back(std::move(action));
    return;
  }
  action();
}

void World::Start(ProcessId process) {
  Host& host = HostOf(process);
  CONCORDAT_CHECK(!host.up);
  host.up = true;
  ++host.incarnation;
  Mix(process.value() * 1000 + host.incarnation);
  if (keeps_history()) {
    Note(absl::StrCat(host.name, " starts, incarnation ", host.incarnation));
  }
  host.process->Start();
}

void World::Kill(ProcessId process, bool power) {
  Host& host = HostOf(process);
  CONCORDAT_CHECK(host.up);
  if (keeps_history()) {
    Note(absl::StrCat(host.name, power ? " loses power" : " is killed"));
  }
  host.up = false;
  host.paused = false;
  host.waiting.clear();
  host.process->Crash(power);
}

void World::Pause(ProcessId process) {
  Host& host = HostOf(process);
  CONCORDAT_CHECK(host.up && !host.paused);
  if (keeps_history()) {
    Note(absl::StrCat(host.name, " is stopped"));
  }
  host.paused = true;
}

void World::Resume(ProcessId process) {
  Host& host = HostOf(process);
  CONCORDAT_CHECK(host.up && host.paused);
  if (keeps_history()) {
    Note(absl::StrCat(host.name, " goes on"));
  }
  host.paused = false;
  std::deque<Action> waiting = std::exchange(host.waiting, {});
  for (Action& action : waiting) {
    After(process, Duration(), std::move(action));
  }
}

void World::Send(ProcessId from, ProcessId to, CallId call, Payload payload) {
  network_.Send(Packet{from, to, call, std::move(payload)});
}

void World::Deliver(const Packet& packet) {
  Host& host = HostOf(packet.to);
  if (!host.up) {
    return;
  }
  Run(packet.to, host.incarnation, [this, packet] {
    Mix(packet.from.value() * 64 + packet.to.value() + packet.payload.index() * 4096);
    if (keeps_history()) {
      Note(absl::StrCat(NameOf(packet.from), " -> ", NameOf(packet.to), "  ",
                        Describe(packet.payload)));
    }
    HostOf(packet.to).process->Receive(packet);
  });
}

void World::Note(std::string_view line) {
  if (!keeps_history()) return;
  std::string text = absl::StrFormat(
      "%11.6f  %s", static_cast<double>(now().micros()) / 1e6, std::string(line));
  if (history_out_ != nullptr) *history_out_ << text << std::endl;
  if (history_size_ == 0) return;
  history_.push_back(std::move(text));
  if (history_.size() > history_size_) history_.pop_front();
}

void World::Fail(std::string what) {
  Note(absl::StrCat("FAILED: ", what));
  if (!failure_) {
    failure_ = std::move(what);
  }
}

}  // namespace concordat::simulation
