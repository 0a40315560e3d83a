#include "examples/transfer/statistics.h"

#include <algorithm>

namespace concordat::transfer {

namespace {

// The nearest rank: of a hundred times, p99 is the second largest.
int64_t At(std::vector<int64_t>* micros, size_t percent) {
  const size_t rank = (micros->size() * percent + 99) / 100;
  const auto place = micros->begin() + static_cast<ptrdiff_t>(rank == 0 ? 0 : rank - 1);
  std::nth_element(micros->begin(), place, micros->end());
  return *place;
}

}  // namespace

Percentiles PercentilesOf(std::vector<int64_t>* micros) {
  if (micros->empty()) return {};
  return {Duration::Micros(At(micros, 50)), Duration::Micros(At(micros, 99)),
          Duration::Micros(At(micros, 100))};
}

void Statistics::RecordEnd(Timestamp begin, Timestamp end, Told told) {
  MutexLock lock(&mutex_);
  switch (told) {
    case Told::kCommitted:
      ++counts_.committed;
      break;
    case Told::kRefused:
      ++counts_.refused;
      break;
    case Told::kAborted:
      ++counts_.aborted;
      break;
    case Told::kUnknown:
      ++counts_.unknown;
      break;
  }
  const Duration waited = end - begin;
  micros_.push_back(waited.micros());
  for (Fault& fault : faults_) {
    if (end < fault.begin || begin > fault.end) continue;
    fault.longest_wait = std::max(fault.longest_wait, waited);
  }
}

void Statistics::RecordRetry(const std::string& cause) {
  MutexLock lock(&mutex_);
  ++retries_[cause];
}

size_t Statistics::BeginFault(Timestamp now) {
  MutexLock lock(&mutex_);
  Fault fault;
  fault.begin = now;
  faults_.push_back(fault);
  return faults_.size() - 1;
}

void Statistics::EndFault(size_t fault, Timestamp now) {
  MutexLock lock(&mutex_);
  faults_[fault].end = now;
}

Counts Statistics::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

std::map<std::string, uint64_t> Statistics::retries() const {
  MutexLock lock(&mutex_);
  return retries_;
}

Duration Statistics::LongestWait(size_t fault) const {
  MutexLock lock(&mutex_);
  return faults_[fault].longest_wait;
}

Percentiles Statistics::Overall() const {
  std::vector<int64_t> micros;
  {
    MutexLock lock(&mutex_);
    micros = micros_;
  }
  return PercentilesOf(&micros);
}

Percentiles Statistics::Recent() {
  std::vector<int64_t> micros;
  {
    MutexLock lock(&mutex_);
    micros.assign(micros_.begin() + static_cast<ptrdiff_t>(seen_), micros_.end());
    seen_ = micros_.size();
  }
  return PercentilesOf(&micros);
}

}  // namespace concordat::transfer
