#include "examples/transfer/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace concordat::transfer {

namespace {

class Table {
 public:
  // The heading is printed only before the first of its lines.
  void Line(const std::string& heading, const std::string& what,
            const std::string& value) {
    text_ += absl::StrFormat("%-13s  %-42s %20s\n", heading == last_ ? "" : heading, what,
                             value);
    last_ = heading;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string last_;
};

void AddOutcomes(const ReportInput& in, Table* table) {
  const Counts counts = in.statistics->counts();
  const Verdict& verdict = *in.verdict;
  table->Line("outcomes", "committed", example::Grouped(counts.committed));
  table->Line("outcomes", "rolled back: not enough money",
              example::Grouped(counts.refused));
  table->Line("outcomes", "aborted, and given up", example::Grouped(counts.aborted));
  table->Line("outcomes", "unknown to the client", example::Grouped(counts.unknown));
  if (counts.unknown > 0) {
    table->Line("", "  asked again: committed",
                example::Grouped(verdict.asked_committed));
    table->Line("", "  asked again: aborted", example::Grouped(verdict.asked_aborted));
    table->Line("", "  told by the data: committed",
                example::Grouped(verdict.audit.unknown_committed));
    table->Line("", "  told by the data: not done",
                example::Grouped(verdict.audit.unknown_not_done));
  }
  for (const auto& [cause, count] : in.statistics->retries()) {
    table->Line("tried again", cause, example::Grouped(count));
  }
}

void AddTimes(const ReportInput& in, Table* table) {
  const example::Percentiles overall = in.statistics->Overall();
  const double seconds =
      static_cast<double>(std::max<int64_t>(in.outcome->elapsed.micros(), 1)) / 1e6;
  table->Line("latency", "p50", example::ForPeople(overall.p50));
  table->Line("latency", "p99", example::ForPeople(overall.p99));
  table->Line("latency", "max", example::ForPeople(overall.max));
  table->Line(
      "rate", absl::StrFormat("transfers a second, in %.1f s", seconds),
      absl::StrFormat("%.0f",
                      static_cast<double>(in.statistics->counts().finished()) / seconds));
}

void AddFaults(const ReportInput& in, Table* table) {
  for (const example::Fault& fault : in.outcome->faults) {
    table->Line("SIGKILL", fault.who, absl::StrCat(fault.in_flight, " under way"));
    table->Line("", fault.of_leader ? "  another node led after" : "  up again after",
                example::ForPeople(fault.outage));
    table->Line("", "  longest gap seen by a client",
                example::ForPeople(in.statistics->LongestWait(fault.number)));
  }
  if (in.outcome->faults.empty() && in.elections == 0) return;
  table->Line("elections", "survived", example::Grouped(in.elections));
}

void AddMoney(const ReportInput& in, Table* table) {
  const AuditResult& audit = in.verdict->audit;
  const auto money = [&in](Money m) { return example::Grouped(in.scale.Format(m)); };
  table->Line("money", "before", money(in.money_before));
  const auto flow = Subtract(audit.money_expected, in.money_before);
  if (flow && !flow->is_zero()) {
    table->Line("money", "paid in and out by the committed", money(*flow));
  }
  table->Line("money", "after", money(audit.money_after));
  table->Line("data", "accounts compared, to the cent", example::Grouped(audit.accounts));
  table->Line("data", "rows of evidence compared", example::Grouped(audit.evidence_rows));
  table->Line("in doubt", "branches still in doubt",
              example::Grouped(in.verdict->open.branches));
  table->Line("in doubt", "transactions still open",
              example::Grouped(in.verdict->open.transactions));
}

}  // namespace

std::string Report(const ReportInput& input) {
  Table table;
  AddOutcomes(input, &table);
  AddTimes(input, &table);
  AddFaults(input, &table);
  AddMoney(input, &table);
  std::string text = table.text();
  const Verdict& verdict = *input.verdict;
  for (const std::string& finding : verdict.audit.findings) {
    absl::StrAppend(&text, "DISAGREES: ", finding, "\n");
  }
  if (verdict.audit.finding_count > verdict.audit.findings.size()) {
    absl::StrAppend(&text, "DISAGREES: … ", verdict.audit.finding_count,
                    " findings in all\n");
  }
  for (const std::string& example : verdict.open.examples) {
    absl::StrAppend(&text, "OPEN: ", example, "\n");
  }
  absl::StrAppend(&text, verdict.agrees()
                             ? "OK: every cent is there, and every answer was true\n"
                             : "FAILED: money or outcomes do not agree\n");
  return text;
}

}  // namespace concordat::transfer
