// Functions that make the operations and statements of a transaction's work.
#ifndef COORDINATOR_CLIENT_OPERATIONS_H_
#define COORDINATOR_CLIENT_OPERATIONS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "concordat_wire/participant_types.h"

namespace concordat::client {

[[nodiscard]] inline wire::KvOperation Get(std::string key) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::GET;
  operation.key = std::move(key);
  return operation;
}

[[nodiscard]] inline wire::KvOperation Put(std::string key, std::string value) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::PUT;
  operation.key = std::move(key);
  operation.__set_value(value);
  return operation;
}

[[nodiscard]] inline wire::KvOperation Delete(std::string key) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::DELETE;
  operation.key = std::move(key);
  return operation;
}

// Adds to an integer; no value counts as 0. CONDITION_FAILED if the sum would be below
// `at_least`: a debit that must not overdraw has at_least 0.
[[nodiscard]] inline wire::KvOperation AddIfAtLeast(std::string key, int64_t delta,
                                                    int64_t at_least) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::ADD_IF_AT_LEAST;
  operation.key = std::move(key);
  operation.__set_delta(delta);
  operation.__set_at_least(at_least);
  return operation;
}

[[nodiscard]] inline wire::KvOperation Add(std::string key, int64_t delta) {
  return AddIfAtLeast(std::move(key), delta, std::numeric_limits<int64_t>::min());
}

// Sets the value if the current one is `expected`; nullopt: if there is none.
[[nodiscard]] inline wire::KvOperation CompareAndSet(std::string key,
                                                     std::optional<std::string> expected,
                                                     std::string value) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::COMPARE_AND_SET;
  operation.key = std::move(key);
  if (expected) operation.__set_expected(*expected);
  operation.__set_value(value);
  return operation;
}

// Reads the pairs with keys from `begin` to before `end` (empty: to the last key), at
// most `limit` of them. 0: no limit except the resource's own.
[[nodiscard]] inline wire::KvOperation Range(std::string begin, std::string end,
                                             int32_t limit = 0) {
  wire::KvOperation operation;
  operation.verb = wire::KvVerb::RANGE;
  operation.key = std::move(begin);
  operation.__set_end_key(end);
  if (limit > 0) operation.__set_limit(limit);
  return operation;
}

[[nodiscard]] inline wire::Value IntegerValue(int64_t value) {
  wire::Value out;
  out.__set_integer(value);
  return out;
}
[[nodiscard]] inline wire::Value RealValue(double value) {
  wire::Value out;
  out.__set_real(value);
  return out;
}
[[nodiscard]] inline wire::Value TextValue(const std::string& value) {
  wire::Value out;
  out.__set_text(value);
  return out;
}
[[nodiscard]] inline wire::Value BlobValue(const std::string& value) {
  wire::Value out;
  out.__set_blob(value);
  return out;
}
[[nodiscard]] inline wire::Value NullValue() { return {}; }

[[nodiscard]] inline wire::SqlStatement Sql(std::string sql,
                                            std::vector<wire::Value> parameters = {}) {
  wire::SqlStatement statement;
  statement.sql = std::move(sql);
  if (!parameters.empty()) statement.__set_parameters(parameters);
  return statement;
}

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_OPERATIONS_H_
