#include "coordinator/cli/printing.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/xid.h"
#include "thrift/wire/conversion.h"

namespace concordat::cli {

namespace {

std::string OutcomeText(const wire::TransactionView& view) {
  if (!view.__isset.outcome) return "none yet";
  std::string text = absl::AsciiStrToUpper(std::string(ToString(FromWire(view.outcome))));
  if (view.__isset.cause) {
    absl::StrAppend(&text, " (", std::string(ToString(FromWire(view.cause))), ")");
  }
  return text;
}

}  // namespace

void PrintTable(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out << line << "\n";
  }
}

std::string GtidText(const wire::Gtid& gtid) {
  const absl::StatusOr<Gtid> id = FromWire(gtid);
  return id.ok() ? ToString(*id) : std::string(id.status().message());
}

std::string BranchText(const wire::BranchId& branch) {
  const absl::StatusOr<BranchId> id = FromWire(branch);
  return id.ok() ? ToString(*id) : std::string(id.status().message());
}

std::string AgeText(int64_t ms) {
  if (ms < 1000) return absl::StrCat(ms, " ms");
  if (ms < 120'000) return absl::StrFormat("%.1f s", static_cast<double>(ms) / 1000);
  return absl::StrCat(ms / 60'000, " min");
}

void PrintTransaction(const wire::TransactionView& view, std::ostream& out) {
  out << "transaction  " << GtidText(view.gtid) << "\n"
      << "state        " << view.state << "\n"
      << "outcome      " << OutcomeText(view) << "\n";
  if (!view.detail.empty()) out << "detail       " << view.detail << "\n";
  if (view.__isset.mode) {
    const bool parallel = view.mode == wire::CommitMode::PARALLEL;
    out << "mode         " << (parallel ? "parallel" : "decided") << "\n";
  }
  if (view.__isset.age_ms) out << "age          " << AgeText(view.age_ms) << "\n";
  if (!view.waiting_for.empty()) out << "waiting for  " << view.waiting_for << "\n";
  for (const std::string& heuristic : view.heuristics) {
    out << "heuristic    " << heuristic << "\n";
  }
  if (view.branches.empty()) return;
  std::vector<std::vector<std::string>> rows = {
      {"branch", "state", "attempts", "detail"}};
  for (const wire::BranchView& branch : view.branches) {
    rows.push_back({BranchText(branch.branch), branch.state,
                    absl::StrCat(branch.attempts), branch.detail});
  }
  out << "\n";
  PrintTable(rows, out);
}

void PrintNotServed(const std::vector<wire::ResourceInfo>& resources, std::ostream& out) {
  for (const wire::ResourceInfo& info : resources) {
    if (!info.quarantined.empty()) {
      out << "\n"
          << info.name << " QUARANTINED, " << AgeText(info.quarantined_age_ms)
          << " ago: " << info.quarantined << "\n";
    } else if (!info.unavailable.empty()) {
      out << "\n" << info.name << " UNAVAILABLE: " << info.unavailable << "\n";
    }
  }
}

}  // namespace concordat::cli
