#include "examples/tickets/sale.h"

#include <algorithm>
#include <utility>

namespace concordat::tickets {

Sale::Sale(client::Client* client, const Plan& plan, Habits habits, size_t clients,
           uint64_t seed)
    : client_(client), plan_(plan), habits_(std::move(habits)), seed_(seed) {
  habits_.on_trouble = [this](const std::string& why) {
    MutexLock lock(&mutex_);
    last_trouble_ = why;
  };
  for (size_t i = 0; i < clients; ++i) threads_.emplace_back([this] { Serve(); });
}

Sale::~Sale() {
  {
    MutexLock lock(&mutex_);
    over_ = true;
    changed_.NotifyAll();
  }
  Join();
}

void Sale::Admit(size_t buyers) {
  MutexLock lock(&mutex_);
  admitted_ = std::max(admitted_, std::min(buyers, plan_.buyers));
  changed_.NotifyAll();
}

size_t Sale::answered() {
  MutexLock lock(&mutex_);
  return answers_.size();
}

size_t Sale::inside() {
  MutexLock lock(&mutex_);
  return next_ - answers_.size();
}

std::string Sale::last_trouble() {
  MutexLock lock(&mutex_);
  return last_trouble_;
}

std::vector<Answer> Sale::Finish() {
  Join();
  MutexLock lock(&mutex_);
  return std::move(answers_);
}

void Sale::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Sale::Next(size_t* buyer) {
  MutexLock lock(&mutex_);
  while (!over_ && next_ == admitted_ && next_ < plan_.buyers) changed_.Wait(&mutex_);
  if (over_ || next_ == plan_.buyers) return false;
  *buyer = next_++;
  return true;
}

void Sale::Serve() {
  for (size_t buyer = 0; Next(&buyer);) {
    Answer answer = Buy(client_, plan_, buyer, habits_, seed_ + buyer);
    MutexLock lock(&mutex_);
    answers_.push_back(std::move(answer));
  }
}

}  // namespace concordat::tickets
