#include "participant/resources/database/options.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace concordat::participant::database {

namespace {

// True: the parameter is one that all databases have, and `options` has its value now.
absl::StatusOr<bool> TakeOption(const std::string& name, const std::string& value,
                                IsolationCheck check_isolation,
                                DatabaseOptions* options) {
  if (name == "isolation") {
    options->default_isolation = value;
    const absl::Status known = check_isolation(value);
    return known.ok() ? absl::StatusOr<bool>(true) : known;
  }
  const bool ours = name == "max_connections" || name == "settle_connections" ||
                    name == "lock_wait_ms" || name == "statement_time_ms";
  if (!ours) return false;
  const bool connections = name.find("connections") != name.npos;
  const int64_t most = connections ? 10'000 : 3'600'000;
  int64_t number = 0;
  if (!absl::SimpleAtoi(value, &number) || number < 1 || number > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is a number from 1 to ", most, ", not \"", value, "\""));
  }
  if (name == "max_connections") {
    options->max_connections = static_cast<uint32_t>(number);
  } else if (name == "settle_connections") {
    options->settle_connections = static_cast<uint32_t>(number);
  } else if (name == "lock_wait_ms") {
    options->lock_wait = Duration::Millis(number);
  } else {
    options->statement_time = Duration::Millis(number);
  }
  return true;
}

}  // namespace

absl::StatusOr<std::string> TakeOptions(const std::string& url,
                                        IsolationCheck check_isolation,
                                        DatabaseOptions* options) {
  const std::vector<std::string> halves = absl::StrSplit(url, absl::MaxSplits('?', 1));
  if (halves.size() == 1) return url;
  std::vector<std::string> rest;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(halves[1], '&'))) {
    const std::vector<std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::StatusOr<bool> ours =
        TakeOption(pair[0], pair.size() > 1 ? pair[1] : "", check_isolation, options);
    if (!ours.ok()) return ours.status();
    if (!*ours) rest.push_back(part);
  }
  if (rest.empty()) return halves[0];
  return absl::StrCat(halves[0], "?", absl::StrJoin(rest, "&"));
}

}  // namespace concordat::participant::database
