#include "participant/daemon/resources.h"

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "participant/kv/kv_resource_manager.h"
#include "participant/mariadb/mariadb_resource_manager.h"
#include "participant/postgresql/postgresql_resource_manager.h"
#include "participant/sqlite/sqlite_resource_manager.h"

namespace concordat::participant {
namespace {

constexpr char kForm[] =
    "a resource is NAME=URL, with an URL like kv:///folder, sqlite:///file, "
    "postgresql://user@host/database or mysql://user@host/database";

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

// A database's server: `parse` takes our parameters out of the URL.
template <class Manager, class Options>
absl::StatusOr<std::unique_ptr<ResourceManager>> MakeDatabase(
    const ResourceSpec& spec,
    absl::StatusOr<std::string> (*parse)(const std::string&, Options*)) {
  Options options;
  options.resource = spec.name;
  absl::StatusOr<std::string> url = parse(spec.url, &options);
  if (!url.ok()) {
    return absl::Status(url.status().code(), absl::StrCat("resource ", spec.name, ": ",
                                                          url.status().message()));
  }
  return std::make_unique<Manager>(*std::move(url), std::move(options));
}

bool IsMariadb(std::string_view scheme) {
  return scheme == "mysql" || scheme == "mariadb";
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
  const bool is_file = spec.scheme != "postgresql" && !IsMariadb(spec.scheme);
  if (is_file && (spec.path.size() < 2 || spec.path[0] != '/')) {
    return bad("the path behind :// must be absolute");
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
  if (spec.scheme == "postgresql") {
    return MakeDatabase<PostgresqlResourceManager>(spec, ParsePostgresqlUrl);
  }
  if (IsMariadb(spec.scheme)) {
    return MakeDatabase<MariadbResourceManager>(spec, ParseMariadbUrl);
  }
  return absl::InvalidArgumentError(absl::StrCat("resource ", spec.name,
                                                 ": no resource manager for \"",
                                                 spec.scheme, "://\"; ", kForm));
}

}  // namespace concordat::participant
