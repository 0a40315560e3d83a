#include "participant/daemon/resources.h"

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "participant/resources/sqlite/sqlite_resource_manager.h"
#include "participant/resources/xa/xa_resource_manager.h"

namespace concordat::participant {
namespace {

constexpr char kForm[] =
    "a resource is NAME=URL, with an URL like kv:///folder, sqlite:///file, "
    "postgresql://user@host/database, mysql://user@host/database or xa:///library";

absl::StatusOr<std::unique_ptr<ResourceManager>> MakeKv(const ResourceSpec& spec) {
  if (!spec.parameters.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("resource ", spec.name,
                                                   ": a KV shard has no parameter \"",
                                                   spec.parameters.begin()->first, "\""));
  }
  return std::make_unique<kv::KvResourceManager>(spec.path);
}

absl::StatusOr<std::unique_ptr<ResourceManager>> MakeSqlite(const ResourceSpec& spec) {
  SqliteOptions options;
  for (const auto& [name, value] : spec.parameters) {
    if (name == "schema") {
      std::ifstream file(value);
      std::ostringstream sql;
      sql << file.rdbuf();
      if (!file) {
        return absl::NotFoundError(absl::StrCat("resource ", spec.name,
                                                ": the schema file ", value,
                                                " cannot be read, or is empty"));
      }
      options.schema_sql = sql.str();
    } else if (name == "isolation") {
      options.default_isolation = value;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("resource ", spec.name, ": a SQLite file has no parameter \"",
                       name, "\"; it has schema and isolation"));
    }
  }
  return std::make_unique<SqliteResourceManager>(spec.path, std::move(options));
}

// For a database's server: `parse` takes our parameters out of the URL.
template <class Options, class Make>
absl::StatusOr<std::unique_ptr<ResourceManager>> MakeDatabase(
    const ResourceSpec& spec,
    absl::StatusOr<std::string> (*parse)(const std::string&, DatabaseOptions*),
    Make make) {
  Options options;
  options.resource = spec.name;
  absl::StatusOr<std::string> url = parse(spec.url, &options);
  if (!url.ok()) {
    return absl::Status(url.status().code(), absl::StrCat("resource ", spec.name, ": ",
                                                          url.status().message()));
  }
  return make(*std::move(url), std::move(options));
}

absl::StatusOr<std::string> Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string byte;
    if (text[i] != '%') {
      byte = text.substr(i, 1);
    } else if (i + 2 < text.size() &&
               absl::HexStringToBytes(text.substr(i + 1, 2)).size() == 1 &&
               absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) &&
               absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      byte = absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\": a % stands before two hexadecimal digits"));
    }
    out += byte;
  }
  return out;
}

struct XaWords {
  std::string switch_symbol;
  std::string work_library;
  std::string work_symbol;
  xa::XaOptions options;
};

absl::Status TakeXaParameter(const std::string& name, const std::string& value,
                             XaWords* words) {
  const std::map<std::string_view, std::string*> texts = {
      {"switch", &words->switch_symbol},     {"work_library", &words->work_library},
      {"work", &words->work_symbol},         {"open", &words->options.open_info},
      {"close", &words->options.close_info}, {"dir", &words->options.dir}};
  const auto text = texts.find(name);
  if (text != texts.end()) {
    absl::StatusOr<std::string> plain = Unescape(value);
    if (!plain.ok()) return plain.status();
    *text->second = *std::move(plain);
    return absl::OkStatus();
  }
  if (name == "threads") {
    if (absl::SimpleAtoi(value, &words->options.threads) && words->options.threads > 0) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError("threads is a number from 1");
  }
  if (name == "hang_after_s") {
    int64_t seconds = 0;
    if (!absl::SimpleAtoi(value, &seconds) || seconds < 1 || seconds > 86'400) {
      return absl::InvalidArgumentError("hang_after_s is a number from 1 to 86400");
    }
    words->options.hang_after = Duration::Seconds(seconds);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("an XA resource has no parameter \"", name,
                   "\"; it has switch, work, work_library, open, close, dir, threads and "
                   "hang_after_s"));
}

absl::StatusOr<std::unique_ptr<ResourceManager>> MakeXa(const ResourceSpec& spec) {
  const auto with_name = [&spec](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat("resource ", spec.name, ": ", status.message()));
  };
  XaWords words;
  words.options.resource = spec.name;
  for (const auto& [name, value] : spec.parameters) {
    absl::Status status = TakeXaParameter(name, value, &words);
    if (!status.ok()) return with_name(status);
  }
  if (words.switch_symbol.empty() || words.work_symbol.empty() ||
      words.options.dir.empty()) {
    return with_name(absl::InvalidArgumentError(
        "an XA resource needs switch=SYMBOL, work=SYMBOL and dir=FOLDER"));
  }
  const absl::StatusOr<xa::XaLibrary> library = xa::LoadSwitch(
      spec.path, words.switch_symbol, words.work_library, words.work_symbol);
  if (!library.ok()) return with_name(library.status());
  return std::make_unique<xa::XaResourceManager>(*library, std::move(words.options));
}

bool IsMariadb(std::string_view scheme) {
  return scheme == "mysql" || scheme == "mariadb";
}

bool IsKnownScheme(std::string_view scheme) {
  return scheme == "kv" || scheme == "sqlite" || scheme == "xa" ||
         scheme == "postgresql" || IsMariadb(scheme);
}

absl::Status ParseParameters(const std::string& text, ResourceSpec* spec) {
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, '&'))) {
    const std::vector<std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.size() != 2 || pair[0].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("resource ", spec->name, ": \"", part, "\" is not NAME=VALUE"));
    }
    spec->parameters[pair[0]] = pair[1];
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResourceSpec> ParseResourceSpec(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(text), "\": ", std::string(why), "; ", kForm));
  };
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return bad("there is no =");
  ResourceSpec spec;
  spec.name = std::string(text.substr(0, equals));
  if (!IsValidResourceName(spec.name)) {
    return bad("a name has 1 to 30 lower-case letters, digits, '-' and '_'");
  }
  const std::string_view url = text.substr(equals + 1);
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return bad("the URL has no ://");
  spec.url = std::string(url);
  spec.scheme = std::string(url.substr(0, colon));
  std::string_view rest = url.substr(colon + 3);
  const size_t question = rest.find('?');
  spec.path = std::string(rest.substr(0, question));
  if (!IsKnownScheme(spec.scheme)) {
    return bad(absl::StrCat("there is no resource manager for ", spec.scheme, "://"));
  }
  const bool is_file = spec.scheme != "postgresql" && !IsMariadb(spec.scheme);
  if (is_file && (spec.path.size() < 2 || spec.path[0] != '/')) {
    return bad("the path after :// must be absolute");
  }
  if (question != std::string_view::npos) {
    const absl::Status status =
        ParseParameters(std::string(rest.substr(question + 1)), &spec);
    if (!status.ok()) return status;
  }
  return spec;
}

absl::StatusOr<std::unique_ptr<ResourceManager>> MakeResourceManager(
    const ResourceSpec& spec) {
  if (spec.scheme == "kv") return MakeKv(spec);
  if (spec.scheme == "sqlite") return MakeSqlite(spec);
  if (spec.scheme == "xa") return MakeXa(spec);
  if (spec.scheme == "postgresql") {
    return MakeDatabase<DatabaseOptions>(spec, ParsePostgresqlUrl, MakePostgresql);
  }
  if (IsMariadb(spec.scheme)) {
    return MakeDatabase<MariadbOptions>(spec, ParseMariadbUrl, MakeMariadb);
  }
  return absl::InvalidArgumentError(absl::StrCat("resource ", spec.name,
                                                 ": no resource manager for \"",
                                                 spec.scheme, "://\"; ", kForm));
}

uint64_t DescriptorsOf(const ResourceSpec& spec) {
  // Files of a log and its snapshot; a database file, its journals and their readers; the
  // sockets of an XA library.
  constexpr uint64_t kFiles = 48;
  if (spec.scheme != "postgresql" && !IsMariadb(spec.scheme)) return kFiles;
  const auto number_of = [&spec](const char* name, uint64_t otherwise) {
    const auto found = spec.parameters.find(name);
    uint64_t number = 0;
    const bool given =
        found != spec.parameters.end() && absl::SimpleAtoi(found->second, &number);
    return given ? number : otherwise;
  };
  constexpr uint64_t kOthers =
      8;  // the scan, the generations, the lock, the check at the start
  return number_of("max_connections", DatabaseOptions{}.max_connections) +
         number_of("settle_connections", DatabaseOptions{}.settle_connections) + kOthers;
}

}  // namespace concordat::participant
