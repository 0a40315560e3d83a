#include "participant/resources/kv/operations.h"

#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/signed.h"

namespace concordat::participant::kv {
namespace {

using wire::Code;
using wire::KvVerb;

OperationStatus Invalid(std::string message) {
  return {Code::INVALID, std::move(message)};
}
OperationStatus Failed(std::string message) {
  return {Code::CONDITION_FAILED, std::move(message)};
}
std::string Show(const std::string& key) {
  return absl::StrCat("\"", absl::CEscape(key), "\"");
}

// Parses a decimal integer; nullopt when there is anything else in the text.
std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool IsWrite(KvVerb::type verb) { return verb != KvVerb::GET && verb != KvVerb::RANGE; }

void Revert(std::vector<Undo>* undo, WriteSet* writes) {
  for (auto it = undo->rbegin(); it != undo->rend(); ++it) {
    if (it->was_written) {
      (*writes)[it->key] = std::move(it->value);
    } else {
      writes->erase(it->key);
    }
  }
  undo->clear();
}

OperationStatus BranchView::Check(const wire::KvOperation& op,
                                  const OperationLimits& limits) {
  if (op.key.size() > limits.max_key_bytes || op.end_key.size() > limits.max_key_bytes) {
    return Invalid(absl::StrCat("a key is longer than ", limits.max_key_bytes, " bytes"));
  }
  if (op.value.size() > limits.max_value_bytes) {
    return Invalid(
        absl::StrCat("a value is longer than ", limits.max_value_bytes, " bytes"));
  }
  switch (op.verb) {
    case KvVerb::GET:
    case KvVerb::DELETE:
      return {};
    case KvVerb::PUT:
    case KvVerb::COMPARE_AND_SET:
      return op.__isset.value ? OperationStatus() : Invalid("no value was given");
    case KvVerb::ADD_IF_AT_LEAST:
      return op.__isset.delta ? OperationStatus() : Invalid("no delta was given");
    case KvVerb::RANGE:
      // If the limit were reduced, a part would look like all there is.
      return op.__isset.limit && (op.limit <= 0 || op.limit > limits.max_range_pairs)
                 ? Invalid(absl::StrCat("the limit of a RANGE is from 1 to ",
                                        limits.max_range_pairs))
                 : OperationStatus();
  }
  return Invalid("unknown verb");
}

OperationStatus BranchView::Run(const wire::KvOperation& op, wire::KvResult* result) {
  switch (op.verb) {
    case KvVerb::GET:
      return Get(op, result);
    case KvVerb::PUT:
      Write(op.key, op.value);
      return {};
    case KvVerb::DELETE:
      if (Find(op.key).value != nullptr) Write(op.key, std::nullopt);
      return {};
    case KvVerb::ADD_IF_AT_LEAST:
      return AddIfAtLeast(op, result);
    case KvVerb::COMPARE_AND_SET:
      return CompareAndSet(op);
    case KvVerb::RANGE:
      return Range(op, result);
  }
  return Invalid("unknown verb");
}

BranchView::Found BranchView::Find(std::string_view key) const {
  if (!writes_.empty()) {
    const auto own = writes_.find(key);
    if (own != writes_.end()) {
      return {own->second.has_value() ? &*own->second : nullptr, 0};
    }
  }
  const auto row = rows_.find(key);
  if (row == rows_.end()) return {};
  return {&row->second.value, row->second.version};
}

void BranchView::Write(const std::string& key, std::optional<std::string> value) {
  auto [it, inserted] = writes_.try_emplace(key);
  undo_.push_back({key, !inserted, inserted ? std::nullopt : std::move(it->second)});
  it->second = std::move(value);
}

OperationStatus BranchView::Get(const wire::KvOperation& op,
                                wire::KvResult* result) const {
  result->__isset.pairs = true;
  const Found found = Find(op.key);
  if (found.value == nullptr) return {};
  wire::KvPair& pair = result->pairs.emplace_back();
  pair.key = op.key;
  pair.value = *found.value;
  pair.version = Signed(found.version);
  return {};
}

OperationStatus BranchView::AddIfAtLeast(const wire::KvOperation& op,
                                         wire::KvResult* result) {
  const Found found = Find(op.key);
  int64_t sum = 0;
  if (found.value != nullptr) {
    const std::optional<int64_t> present = ParseInteger(*found.value);
    if (!present)
      return Invalid(absl::StrCat("the value of ", Show(op.key), " is not an integer"));
    sum = *present;
  }
  if (__builtin_add_overflow(sum, op.delta, &sum)) {
    return Failed(absl::StrCat("the sum at ", Show(op.key), " does not fit 64 bits"));
  }
  if (op.__isset.at_least && sum < op.at_least) {
    return Failed(absl::StrCat("the sum at ", Show(op.key), " would be ", sum, ", below ",
                               op.at_least));
  }
  Write(op.key, absl::StrCat(sum));
  result->__set_sum(sum);
  return {};
}

OperationStatus BranchView::CompareAndSet(const wire::KvOperation& op) {
  const Found found = Find(op.key);
  if (op.__isset.expected != (found.value != nullptr)) {
    return Failed(absl::StrCat(Show(op.key),
                               op.__isset.expected ? " has no value" : " has a value"));
  }
  if (found.value != nullptr && *found.value != op.expected) {
    return Failed(absl::StrCat(Show(op.key), " has another value"));
  }
  Write(op.key, op.value);
  return {};
}

// Without a limit: one pair more than the answer may have, to see whether there is one.
int32_t BranchView::LimitOf(const wire::KvOperation& op) const {
  return op.__isset.limit ? op.limit : limits_.max_range_pairs + 1;
}

template <class Visitor>
void BranchView::Scan(const std::string& from, const std::string& to,
                      Visitor visit) const {
  const auto inside = [&to](const std::string& key) { return to.empty() || key < to; };
  auto row = rows_.lower_bound(from);
  auto own = writes_.lower_bound(from);
  while (true) {
    const bool has_row = row != rows_.end() && inside(row->first);
    const bool has_own = own != writes_.end() && inside(own->first);
    if (!has_row && !has_own) return;
    if (has_own && (!has_row || own->first <= row->first)) {
      if (has_row && own->first == row->first) ++row;
      const auto it = own++;
      if (it->second.has_value() && !visit(it->first, *it->second, 0)) return;
    } else {
      const auto it = row++;
      if (!visit(it->first, it->second.value, it->second.version)) return;
    }
  }
}

KeyRange BranchView::RangeToLock(const wire::KvOperation& op) const {
  KeyRange range{op.key, op.end_key};
  int32_t left = LimitOf(op);
  Scan(op.key, op.end_key,
       [&](const std::string& key, const std::string& /*value*/, uint64_t /*version*/) {
         if (--left > 0) return true;
         range.to = key + '\0';  // the smallest key after it
         return false;
       });
  return range;
}

OperationStatus BranchView::Range(const wire::KvOperation& op,
                                  wire::KvResult* result) const {
  result->__isset.pairs = true;
  int32_t left = LimitOf(op);
  size_t bytes = 0;
  Scan(op.key, op.end_key,
       [&](const std::string& key, const std::string& value, uint64_t version) {
         bytes += key.size() + value.size();
         if (bytes > limits_.max_range_bytes) return false;
         wire::KvPair& pair = result->pairs.emplace_back();
         pair.key = key;
         pair.value = value;
         pair.version = Signed(version);
         return --left > 0;
       });
  if (bytes > limits_.max_range_bytes) {
    return Invalid(absl::StrCat("the range has more than ", limits_.max_range_bytes,
                                " bytes: ask with a smaller limit"));
  }
  if (!op.__isset.limit && left <= 0) {
    return Invalid(absl::StrCat("the range has more than ", limits_.max_range_pairs,
                                " pairs: ask for it in parts, with a limit"));
  }
  return {};
}

}  // namespace concordat::participant::kv
