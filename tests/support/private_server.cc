#include "tests/support/private_server.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <utility>

#include "coordinator/base/check.h"
#include "tests/support/processes.h"

namespace concordat::testing {

namespace {

constexpr double kStartSeconds = 60;
constexpr Duration kPatience = Duration::Seconds(120);

// Makes `to` a copy of the folder `from`, with the same owners.
void Copy(const std::string& from, const std::string& to, const std::string& output) {
  for (const auto& words : {std::vector<std::string>{"/bin/rm", "-rf", to},
                            std::vector<std::string>{"/bin/cp", "-a", from, to}}) {
    const auto done = example::RunProgram(words, output, kPatience);
    CONCORDAT_CHECK(done.ok()) << done.status().message();
  }
}

}  // namespace

PrivateServer::PrivateServer(Prepared prepare(const std::string&, const std::string&),
                             int stop_signal)
    // The path of a Unix socket may have at most 107 bytes.
    : dir_("/tmp"), stop_signal_(stop_signal) {
  // The server's user goes through it to the server's own folder.
  chmod(dir_.path().c_str(), 0711);
  Prepared server = prepare("server", dir_.path());
  CONCORDAT_CHECK(server.ok()) << server.status().message();
  server_ = *std::move(server);
}

PrivateServer::~PrivateServer() {
  if (running()) End(server_->program().end_signal);
}

bool PrivateServer::StartOnce(const std::vector<std::string>& more_words,
                              const std::function<bool()>& accepts) {
  CONCORDAT_CHECK(!running()) << "it runs";
  example::Program program = server_->program();
  program.words.insert(program.words.end(), more_words.begin(), more_words.end());
  auto process = example::ChildProcess::Start(program.words, program.output);
  CONCORDAT_CHECK(process.ok()) << process.status().message();
  process_ = *process;
  const double end = NowSeconds() + kStartSeconds;
  while (!accepts()) {
    if (!process_->Running()) {
      process_.reset();
      return false;
    }
    CONCORDAT_CHECK(NowSeconds() < end) << "it does not start: " << Log();
    SleepMs(5);
  }
  return true;
}

void PrivateServer::End(int signal) {
  process_->Signal(SIGCONT);
  process_->Signal(signal);
  CONCORDAT_CHECK(process_->WaitForEnd(kPatience)) << "it does not end: " << Log();
  process_.reset();
}

void PrivateServer::Kill() { End(SIGKILL); }

void PrivateServer::Stop() { End(stop_signal_); }

// On a busy machine threads run on for a moment after the signal.
void PrivateServer::Pause() {
  process_->Signal(SIGSTOP);
  siginfo_t stopped;
  CONCORDAT_CHECK(waitid(P_PID, static_cast<id_t>(pid()), &stopped, WSTOPPED) == 0)
      << "it is not stopped";
}

void PrivateServer::Resume() { process_->Signal(SIGCONT); }

void PrivateServer::Backup() const {
  CONCORDAT_CHECK(!running()) << "it writes to what is copied";
  Copy(server_->data(), dir_.File("backup"), dir_.File("copy.out"));
}

void PrivateServer::Restore() const {
  CONCORDAT_CHECK(!running()) << "it writes to what is replaced";
  Copy(dir_.File("backup"), server_->data(), dir_.File("copy.out"));
}

std::string PrivateServer::Log() const { return TextOf(server_->program().output); }

}  // namespace concordat::testing
