#include "participant/resources/postgresql/value.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "participant/resources/postgresql/connection.h"

namespace concordat::participant::postgresql {

using database::ClientRows;
using database::Param;

namespace {

// The oids of types in pg_type, which never change (src/include/catalog/pg_type.dat).
constexpr Oid kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kOid = 26,
              kFloat4 = 700, kFloat8 = 701;

std::string RealText(double real) {
  if (std::isnan(real)) return "NaN";
  if (std::isinf(real)) return real > 0 ? "Infinity" : "-Infinity";
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), real);
  return {text, end};
}

std::string Blob(std::string_view text) {
  size_t size = 0;
  // The set-up of the session asks for the hex form. This function reads both forms.
  unsigned char* bytes = PQunescapeBytea(
      reinterpret_cast<const unsigned char*>(std::string(text).c_str()), &size);
  std::string blob(reinterpret_cast<char*>(bytes), size);
  PQfreemem(bytes);
  return blob;
}

wire::Value ColumnToWire(Oid type, std::string_view text) {
  wire::Value value;
  switch (type) {
    case kBool:
      value.__set_integer(text == "t" ? 1 : 0);
      break;
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid: {
      int64_t integer = 0;
      std::from_chars(text.data(), text.data() + text.size(), integer);
      value.__set_integer(integer);
      break;
    }
    case kFloat4:
    case kFloat8:  // libpq ends each value with a NUL
      value.__set_real(std::strtod(text.data(), nullptr));
      break;
    case kBytea:
      value.__set_blob(Blob(text));
      break;
    default:
      value.__set_text(std::string(text));
      break;
  }
  return value;
}

}  // namespace

absl::StatusOr<Param> ToParam(const wire::Value& value) {
  if (value.__isset.integer) return Text(absl::StrCat(value.integer));
  if (value.__isset.real) return Text(RealText(value.real));
  if (value.__isset.text) {
    if (value.text.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          "a text holds a NUL character, which PostgreSQL's text does not have; give it "
          "as a blob");
    }
    return Text(value.text);
  }
  if (value.__isset.blob) return Param{value.blob, /*binary=*/true, kBytea};
  return Param{};
}

std::vector<wire::Value> RowToWire(const PGresult* row) {
  const int columns = PQnfields(row);
  std::vector<wire::Value> values;
  values.reserve(static_cast<size_t>(columns));
  for (int c = 0; c < columns; ++c) {
    values.push_back(PQgetisnull(row, 0, c) != 0
                         ? wire::Value()
                         : ColumnToWire(PQftype(row, c), Field(row, 0, c)));
  }
  return values;
}

void TakeColumns(const PGresult* result, size_t statement, ClientRows* rows) {
  const int columns = PQnfields(result);
  if (columns == 0 || !rows->wants_columns(statement)) return;
  std::vector<std::string> names;
  for (int c = 0; c < columns; ++c) names.emplace_back(PQfname(result, c));
  rows->SetColumns(statement, std::move(names));
}

void TakeEnd(const PGresult* result, size_t statement, ClientRows* rows) {
  TakeColumns(result, statement, rows);
  const std::string_view tag = PQcmdStatus(const_cast<PGresult*>(result));
  const bool reads = tag.substr(0, 6) == "SELECT" || tag.substr(0, 4) == "SHOW";
  const std::string_view changed = PQcmdTuples(const_cast<PGresult*>(result));
  if (reads || changed.empty()) return;
  uint64_t count = 0;
  std::from_chars(changed.data(), changed.data() + changed.size(), count);
  rows->SetChanged(statement, count);
}

}  // namespace concordat::participant::postgresql
