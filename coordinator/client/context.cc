#include "coordinator/client/context.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace concordat::client {

namespace {

constexpr const char* kVersion = "concordat-1";

constexpr const char* kDoomed = "doomed:";
constexpr const char* kConflict = "conflict:";
// Limits the reason, so that the text can be the value of a header.
constexpr size_t kMaxReason = 300;

// False: the word is neither "doomed:" nor "conflict:".
bool ParseDoomed(absl::string_view word, Context* context) {
  context->conflict = absl::ConsumePrefix(&word, kConflict);
  if (!context->conflict && !absl::ConsumePrefix(&word, kDoomed)) return false;
  if (!absl::WebSafeBase64Unescape(word, &context->doomed)) return false;
  if (context->doomed.empty()) context->doomed = "no reason is given";
  return true;
}

absl::Status NoContext(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("no transaction context: '", std::string(text.substr(0, 200)), "'"));
}

}  // namespace

std::string EncodeContext(const Context& context) {
  std::string text = absl::StrCat(kVersion, " ", absl::Hex(context.cluster.value()), " ",
                                  ToString(context.gtid));
  for (const BranchId& branch : context.branches) {
    absl::StrAppend(&text, " ", ToString(branch));
  }
  if (!context.doomed.empty()) {
    absl::StrAppend(&text, " ", context.conflict ? kConflict : kDoomed,
                    absl::WebSafeBase64Escape(context.doomed.substr(0, kMaxReason)));
  }
  return text;
}

absl::StatusOr<Context> ParseContext(std::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ' ');
  if (words.size() < 3 || words[0] != kVersion) return NoContext(text);
  uint64_t cluster = 0;
  if (!absl::SimpleHexAtoi(words[1], &cluster)) return NoContext(text);
  auto gtid = ParseGtid(words[2]);
  if (!gtid.ok()) return NoContext(text);
  Context context{ClusterId(cluster), *gtid, {}};
  for (size_t i = 3; i < words.size(); ++i) {
    if (i + 1 == words.size() && ParseDoomed(words[i], &context)) break;
    auto branch = ParseBranchId(words[i]);
    if (!branch.ok() || branch->gtid != *gtid) return NoContext(text);
    context.branches.push_back(std::move(*branch));
  }
  return context;
}

}  // namespace concordat::client
