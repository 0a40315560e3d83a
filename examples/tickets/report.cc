#include "examples/tickets/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/processes/console.h"
#include "examples/processes/percentiles.h"

namespace concordat::tickets {

namespace {

constexpr size_t kShownFindings = 20;

void Line(std::string* out, const std::string& group, const std::string& name,
          const std::string& value) {
  absl::StrAppendFormat(out, "%-12s %-34s %s\n", group, name, value);
}

std::string Sum(const std::vector<Entry>& entries) {
  int64_t sum = 0;
  for (const Entry& entry : entries) sum += entry.amount;
  return absl::StrCat(entries.size(), ", in all ", sum);
}

void AppendAnswers(const Ending& ending, std::string* out) {
  size_t tries = 0;
  size_t unknown = 0;
  std::vector<int64_t> micros;
  for (const Answer& answer : ending.answers) {
    tries += answer.tries;
    unknown += answer.was_unknown ? 1 : 0;
    micros.push_back(answer.took.micros());
  }
  const char* group = "answers";
  for (const Told told :
       {Told::kBought, Told::kSoldOut, Told::kTooPoor, Told::kGaveUp, Told::kUnknown}) {
    const auto count =
        std::count_if(ending.answers.begin(), ending.answers.end(),
                      [told](auto& answer) { return answer.told == told; });
    Line(out, group, ToString(told), absl::StrCat(count));
    group = "";
  }
  Line(out, "", "unknown at first, asked about", absl::StrCat(unknown));
  Line(out, "", "tries", absl::StrCat(tries));
  const example::Percentiles took = example::PercentilesOf(&micros);
  Line(out, "waited", "p50, p99, longest",
       absl::StrCat(example::ForPeople(took.p50), ", ", example::ForPeople(took.p99),
                    ", ", example::ForPeople(took.max)));
}

}  // namespace

std::string Report(const Plan& plan, const Ending& ending) {
  std::string out;
  Line(&out, "buyers", "",
       absl::StrCat(plan.buyers, ", of whom ", plan.rich(), " can pay, in ",
                    example::ForPeople(ending.elapsed)));
  AppendAnswers(ending, &out);
  for (const example::Fault& fault : ending.faults) {
    Line(&out, "SIGKILL", fault.who,
         absl::StrCat(fault.in_flight, " under way, back after ",
                      example::ForPeople(fault.outage)));
  }
  const Books& books = ending.books;
  Line(&out, "books", "seats sold", absl::StrCat(books.seats.size(), " of ", plan.seats));
  Line(&out, "", "payments", Sum(books.payments));
  Line(&out, "", "points", Sum(books.earned));
  Line(&out, "in doubt", "branches", absl::StrCat(ending.open.branches));
  Line(&out, "", "transactions", absl::StrCat(ending.open.transactions));
  out += '\n';
  for (const std::string& open : ending.open.examples) {
    absl::StrAppend(&out, "FAILED: ", open, "\n");
  }
  for (size_t i = 0; i < ending.findings.size() && i < kShownFindings; ++i) {
    absl::StrAppend(&out, "FAILED: ", ending.findings[i], "\n");
  }
  if (ending.findings.size() > kShownFindings) {
    absl::StrAppend(&out, "FAILED: ", ending.findings.size(), " findings in all\n");
  }
  if (ending.agrees()) {
    out += "OK: each seat is sold once and paid for once, and nothing else is paid\n";
  }
  return out;
}

}  // namespace concordat::tickets
