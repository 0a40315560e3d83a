#include "examples/transfer/statistics.h"

#include <algorithm>

namespace concordat::transfer {

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

example::Percentiles Statistics::Overall() const {
  std::vector<int64_t> micros;
  {
    MutexLock lock(&mutex_);
    micros = micros_;
  }
  return example::PercentilesOf(&micros);
}

example::Percentiles Statistics::Recent() {
  std::vector<int64_t> micros;
  {
    MutexLock lock(&mutex_);
    micros.assign(micros_.begin() + static_cast<ptrdiff_t>(seen_), micros_.end());
    seen_ = micros_.size();
  }
  return example::PercentilesOf(&micros);
}

}  // namespace concordat::transfer
