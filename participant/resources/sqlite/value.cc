#include "participant/resources/sqlite/value.h"

#include <cmath>
#include <cstring>

#include "absl/strings/match.h"

namespace concordat::participant::sqlite {

namespace {

uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
int64_t UnZigZag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

uint64_t Bits(double d) {
  uint64_t bits;
  std::memcpy(&bits, &d, sizeof(bits));
  return bits;
}

// A real that is integral and that an int64 holds exactly is equal to that integer.
bool IsExactInteger(double d, int64_t* out) {
  if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) return false;
  if (std::trunc(d) != d) return false;
  *out = static_cast<int64_t>(d);
  return true;
}

void AppendRaw(uint64_t v, std::string* key) {
  char raw[sizeof(v)];
  std::memcpy(raw, &v, sizeof(v));
  key->append(raw, sizeof(raw));
}

void AppendCollated(std::string_view text, Collation collation, std::string* key) {
  if (collation == Collation::kRTrim) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  }
  AppendRaw(text.size(), key);
  const size_t start = key->size();
  key->append(text);
  if (collation != Collation::kNoCase) return;
  // SQLite's NOCASE compares up to the first NUL, and then the lengths.
  const size_t nul = key->find('\0', start);
  if (nul != std::string::npos) key->resize(nul);
  for (size_t i = start; i < key->size(); ++i) {
    char& c = (*key)[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
}

}  // namespace

Collation ParseCollation(std::string_view name) {
  const absl::string_view n(name.data(), name.size());
  if (absl::EqualsIgnoreCase(n, "BINARY")) return Collation::kBinary;
  if (absl::EqualsIgnoreCase(n, "NOCASE")) return Collation::kNoCase;
  if (absl::EqualsIgnoreCase(n, "RTRIM")) return Collation::kRTrim;
  return Collation::kUnknown;
}

const char* NameOf(Collation collation) {
  switch (collation) {
    case Collation::kNoCase:
      return "NOCASE";
    case Collation::kRTrim:
      return "RTRIM";
    case Collation::kBinary:
    case Collation::kUnknown:
      break;
  }
  return "BINARY";
}

bool operator==(const ValueView& a, const ValueView& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case SQLITE_INTEGER:
      return a.integer == b.integer;
    case SQLITE_FLOAT:
      return Bits(a.real) == Bits(b.real);
    case SQLITE_NULL:
      return true;
    default:
      return a.bytes == b.bytes;
  }
}

ValueView View(sqlite3_value* value) {
  ValueView view;
  view.type = sqlite3_value_type(value);
  switch (view.type) {
    case SQLITE_INTEGER:
      view.integer = sqlite3_value_int64(value);
      break;
    case SQLITE_FLOAT:
      view.real = sqlite3_value_double(value);
      break;
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      view.bytes = {text, static_cast<size_t>(sqlite3_value_bytes(value))};
      break;
    }
    case SQLITE_BLOB: {
      // An empty blob has no address.
      const auto* blob = static_cast<const char*>(sqlite3_value_blob(value));
      view.bytes = {blob == nullptr ? "" : blob,
                    static_cast<size_t>(sqlite3_value_bytes(value))};
      break;
    }
    default:
      break;
  }
  return view;
}

void EncodeValue(const ValueView& value, ByteWriter* out) {
  switch (value.type) {
    case SQLITE_INTEGER:
      out->U8(1);
      out->Varint(ZigZag(value.integer));
      break;
    case SQLITE_FLOAT:
      out->U8(2);
      out->U64(Bits(value.real));
      break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
      out->U8(value.type == SQLITE_TEXT ? 3 : 4);
      out->Bytes(value.bytes);
      break;
    default:
      out->U8(0);
      break;
  }
}

ValueView DecodeValue(ByteReader* in) {
  ValueView value;
  switch (in->U8()) {
    case 1:
      value.type = SQLITE_INTEGER;
      value.integer = UnZigZag(in->Varint());
      break;
    case 2: {
      value.type = SQLITE_FLOAT;
      const uint64_t bits = in->U64();
      std::memcpy(&value.real, &bits, sizeof(bits));
      break;
    }
    case 3:
      value.type = SQLITE_TEXT;
      value.bytes = in->Bytes();
      break;
    case 4:
      value.type = SQLITE_BLOB;
      value.bytes = in->Bytes();
      break;
    default:
      break;
  }
  return value;
}

void BindValue(sqlite3_stmt* stmt, int index, const ValueView& value) {
  // A null address would bind NULL.
  const char* data = value.bytes.data() == nullptr ? "" : value.bytes.data();
  switch (value.type) {
    case SQLITE_INTEGER:
      sqlite3_bind_int64(stmt, index, value.integer);
      break;
    case SQLITE_FLOAT:
      sqlite3_bind_double(stmt, index, value.real);
      break;
    case SQLITE_TEXT:
      sqlite3_bind_text64(stmt, index, data, value.bytes.size(), SQLITE_STATIC,
                          SQLITE_UTF8);
      break;
    case SQLITE_BLOB:
      sqlite3_bind_blob64(stmt, index, data, value.bytes.size(), SQLITE_STATIC);
      break;
    default:
      sqlite3_bind_null(stmt, index);
      break;
  }
}

void AppendKeyValue(const ValueView& value, Collation collation, std::string* key) {
  int64_t integer = value.integer;
  if (value.type == SQLITE_INTEGER ||
      (value.type == SQLITE_FLOAT && IsExactInteger(value.real, &integer))) {
    key->push_back('i');
    AppendRaw(static_cast<uint64_t>(integer), key);
  } else if (value.type == SQLITE_FLOAT) {
    key->push_back('r');
    AppendRaw(Bits(value.real), key);
  } else if (value.type == SQLITE_TEXT) {
    key->push_back('t');
    AppendCollated(value.bytes, collation, key);
  } else if (value.type == SQLITE_BLOB) {
    key->push_back('b');
    AppendCollated(value.bytes, Collation::kBinary, key);
  } else {
    key->push_back('0');
  }
}

}  // namespace concordat::participant::sqlite
