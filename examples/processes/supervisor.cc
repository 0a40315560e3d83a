#include "examples/processes/supervisor.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/system_clock.h"

namespace concordat::example {

namespace {

constexpr Duration kStartLimit = Duration::Seconds(20);
constexpr Duration kStopLimit = Duration::Seconds(5);
constexpr size_t kShownBytes = 2000;

std::string ReadFrom(const std::string& file, uint64_t offset) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The end of a file, beginning at the start of a line.
std::string Tail(const std::string& file) {
  std::string text = ReadFrom(file, 0);
  if (text.size() <= kShownBytes) return text;
  text.erase(0, text.size() - kShownBytes);
  return text.substr(text.find('\n') + 1);
}

uint64_t SizeOf(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

}  // namespace

void Supervisor::Add(Program program) {
  MutexLock lock(&mutex_);
  programs_.push_back({std::move(program), std::nullopt, 0});
}

Supervisor::Running* Supervisor::Find(const std::string& name) {
  for (Running& running : programs_) {
    if (running.program.name == name) return &running;
  }
  CONCORDAT_CHECK(false) << "no program " << name;
  return nullptr;
}

absl::Status Supervisor::Start(Running* running) {
  if (closed_) return absl::CancelledError("the run is being ended");
  running->output_before = SizeOf(running->program.output);
  auto process = ChildProcess::Start(running->program.words, running->program.output);
  if (!process.ok()) return process.status();
  running->process.emplace(*process);
  return absl::OkStatus();
}

absl::Status Supervisor::Ended(const Running& running) {
  std::string message =
      absl::StrCat(running.program.name, " ", running.process->HowItEnded(), "\n",
                   Tail(running.program.output));
  if (!running.program.log.empty()) absl::StrAppend(&message, Tail(running.program.log));
  return absl::UnavailableError(message);
}

absl::StatusOr<bool> Supervisor::IsReady(const std::string& name) {
  MutexLock lock(&mutex_);
  Running* running = Find(name);
  const std::string output = ReadFrom(running->program.output, running->output_before);
  if (output.find(running->program.ready) != std::string::npos) return true;
  if (!running->process->Running()) return Ended(*running);
  return false;
}

absl::Status Supervisor::WaitUntilReady(const std::string& name) {
  const SystemClock clock;
  const Timestamp give_up = clock.Now() + kStartLimit;
  for (;;) {
    const auto ready = IsReady(name);
    if (!ready.ok()) return ready.status();
    if (*ready) return absl::OkStatus();
    if (clock.Now() >= give_up) {
      return absl::DeadlineExceededError(absl::StrCat(
          name, " was not ready after ", kStartLimit.millis() / 1000, " seconds"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

absl::Status Supervisor::StartAll() {
  std::vector<std::string> names;
  {
    MutexLock lock(&mutex_);
    for (Running& running : programs_) {
      if (running.process) continue;
      if (absl::Status s = Start(&running); !s.ok()) return s;
      names.push_back(running.program.name);
    }
  }
  for (const std::string& name : names) {
    if (absl::Status s = WaitUntilReady(name); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Kill(const std::string& name) {
  MutexLock lock(&mutex_);
  Running* running = Find(name);
  if (!running->process || !running->process->Running()) return Ended(*running);
  running->process->Signal(SIGKILL);
  if (!running->process->WaitForEnd(kStopLimit)) {
    return absl::InternalError(absl::StrCat(name, " does not die"));
  }
  running->process.reset();
  return absl::OkStatus();
}

absl::Status Supervisor::Restart(const std::string& name) {
  MutexLock lock(&mutex_);
  return Start(Find(name));
}

absl::Status Supervisor::CheckAll() {
  MutexLock lock(&mutex_);
  for (Running& running : programs_) {
    if (running.process && !running.process->Running()) return Ended(running);
  }
  return absl::OkStatus();
}

std::vector<std::string> Supervisor::StopAll() {
  MutexLock lock(&mutex_);
  std::vector<std::string> bad;
  StopThose(false, &bad);
  StopThose(true, &bad);
  return bad;
}

void Supervisor::StopThose(bool serving_others, std::vector<std::string>* bad) {
  for (Running& running : programs_) {
    if (running.program.serves_others != serving_others) continue;
    if (running.process) running.process->Signal(SIGTERM);
  }
  for (Running& running : programs_) {
    if (!running.process || running.program.serves_others != serving_others) continue;
    if (!running.process->WaitForEnd(kStopLimit)) {
      running.process->Signal(SIGKILL);
      (void)running.process->WaitForEnd(kStopLimit);
      bad->push_back(absl::StrCat(running.program.name, " did not stop on SIGTERM"));
    } else if (running.process->ExitStatus() != 0) {
      bad->push_back(
          absl::StrCat(running.program.name, " ", running.process->HowItEnded()));
    }
    running.process.reset();
  }
}

void Supervisor::KillAllForGood() {
  MutexLock lock(&mutex_);
  closed_ = true;
  for (Running& running : programs_) {
    if (running.process) running.process->Signal(running.program.end_signal);
  }
  for (Running& running : programs_) {
    if (!running.process) continue;
    if (!running.process->WaitForEnd(kStopLimit)) running.process->Signal(SIGKILL);
    (void)running.process->WaitForEnd(kStopLimit);
    running.process.reset();
  }
}

}  // namespace concordat::example
