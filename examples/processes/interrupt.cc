#include "examples/processes/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

namespace concordat::example {

namespace {

constexpr int kSignalExitBase = 128;
std::atomic<bool> interrupted{false};

}  // namespace

void OnInterrupt(std::function<void()> clean_up) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Under nohup(1) SIGHUP is ignored; that is not changed.
  struct sigaction hang_up {};
  sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, clean_up = std::move(clean_up)] {
    int signal = 0;
    sigwait(&signals, &signal);
    interrupted = true;
    clean_up();
    // Other threads are still running, so no destructors are called.
    _exit(kSignalExitBase + signal);
  }).detach();
}

void StandStillIfInterrupted() {
  while (interrupted) pause();
}

}  // namespace concordat::example
