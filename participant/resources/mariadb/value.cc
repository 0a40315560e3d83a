#include "participant/resources/mariadb/value.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace concordat::participant::mariadb {

namespace {

constexpr unsigned kBinaryCharset = 63;

wire::Value TextValue(std::string_view text) {
  wire::Value value;
  value.__set_text(std::string(text));
  return value;
}

wire::Value IntegerValue(std::string_view text) {
  int64_t integer = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), integer);
  if (error != std::errc()) return TextValue(text);  // a larger unsigned number
  wire::Value value;
  value.__set_integer(integer);
  return value;
}

// The server sends a BIT as bytes, with the most significant byte first.
wire::Value BitValue(std::string_view bytes) {
  uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<uint8_t>(byte);
  wire::Value value;
  if (bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    value.__set_blob(std::string(bytes));
  } else {
    value.__set_integer(static_cast<int64_t>(bits));
  }
  return value;
}

wire::Value ColumnToWire(const MYSQL_FIELD& field, std::string_view text) {
  wire::Value value;
  switch (field.type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
      return IntegerValue(text);
    case MYSQL_TYPE_BIT:
      return BitValue(text);
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
      value.__set_real(std::strtod(std::string(text).c_str(), nullptr));
      return value;
    case MYSQL_TYPE_GEOMETRY:
      value.__set_blob(std::string(text));
      return value;
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB:
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
      if (field.charsetnr != kBinaryCharset) return TextValue(text);
      value.__set_blob(std::string(text));
      return value;
    default:
      return TextValue(text);
  }
}

std::string Hex(std::string_view charset, const std::string& bytes) {
  if (bytes.empty()) return absl::StrCat(std::string(charset), " ''");
  return absl::StrCat(std::string(charset), " 0x", absl::BytesToHexString(bytes));
}

}  // namespace

absl::StatusOr<std::string> ToLiteral(const wire::Value& value) {
  if (value.__isset.integer) return absl::StrCat(value.integer);
  if (value.__isset.real) {
    if (!std::isfinite(value.real)) {
      return absl::InvalidArgumentError("MariaDB has no NaN and no infinity");
    }
    char text[64];  // with an exponent a literal is a DOUBLE, without one a DECIMAL
    const auto [end, error] = std::to_chars(text, text + sizeof(text), value.real,
                                            std::chars_format::scientific);
    return std::string(text, end);
  }
  if (value.__isset.text) return Hex("_utf8mb4", value.text);
  if (value.__isset.blob) return Hex("_binary", value.blob);
  return "NULL";
}

std::vector<wire::Value> RowToWire(const MYSQL_FIELD* fields, unsigned columns,
                                   MYSQL_ROW row, const unsigned long* sizes) {
  std::vector<wire::Value> values;
  values.reserve(columns);
  for (unsigned c = 0; c < columns; ++c) {
    values.push_back(row[c] == nullptr
                         ? wire::Value()
                         : ColumnToWire(fields[c], std::string_view(row[c], sizes[c])));
  }
  return values;
}

}  // namespace concordat::participant::mariadb
