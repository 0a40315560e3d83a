// Short ways to write the work in a transaction.
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

// Adds to an integer (no value counts as 0), unless the sum would be below `at_least`:
// then CONDITION_FAILED. A debit that refuses to overdraw has at_least 0.
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

// No `expected`: only if there is no value.
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

// Keys from `begin` (included) to `end` (excluded; empty: to the last), at most
// `limit`; 0 is no limit but the resource's own.
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
