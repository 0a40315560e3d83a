// The core's views for the command line.
#include "coordinator/txn/view.h"

#include <utility>

#include "coordinator/txn/commit_protocol.h"
#include "coordinator/txn/core.h"

namespace concordat::txn {

namespace {

void FillFromTable(const TransactionTable& table, TransactionView* view) {
  view->state = table.StateOf(view->gtid);
  if (const auto settled = table.FindSettled(view->gtid)) {
    view->outcome = settled->outcome;
    view->cause = settled->cause;
    view->detail = settled->detail;
  }
  const auto* entry = table.FindLive(view->gtid);
  if (entry == nullptr) return;
  view->mode = entry->mode;
  view->by = entry->by;
  for (const BranchId& id : entry->branches) {
    BranchView& branch = view->branches.emplace_back();
    branch.id = id;
  }
}

void FillFromInFlight(const InFlight& txn, Timestamp now, TransactionView* view) {
  view->in_flight_here = true;
  view->inherited = txn.inherited;
  view->mode = txn.mode;
  view->age = now - txn.begun;
  if (txn.preparing() && txn.deadline != Timestamp::Infinite()) {
    view->until_deadline = txn.deadline - now;
  }
  view->branches.clear();
  for (const BranchProgress& progress : txn.branches) {
    BranchView& branch = view->branches.emplace_back();
    branch.id = progress.id;
    branch.in_set = progress.in_set;
    branch.vote = progress.vote;
    branch.detail = progress.detail;
    branch.acknowledged = progress.acknowledged;
    branch.attempts = progress.attempts;
    const bool silent = txn.preparing()
                            ? progress.in_set && !progress.vote
                            : txn.phase == Phase::kFinishing && !progress.acknowledged;
    if (silent) view->waiting_for.push_back(progress.id);
  }
}

// Branches sort by their gtid first.
void FillHeuristics(const TransactionTable& table, TransactionView* view) {
  auto entry = table.heuristics().lower_bound(BranchId{view->gtid, {}, {}, 0});
  for (; entry != table.heuristics().end() && entry->first.gtid == view->gtid; ++entry) {
    view->heuristics.push_back({entry->first, entry->second.what, entry->second.detail});
    for (BranchView& branch : view->branches) {
      if (branch.id == entry->first) branch.heuristic = entry->second.what;
    }
  }
}

}  // namespace

TransactionView Core::Show(const Gtid& gtid, Timestamp now) const {
  TransactionView view;
  view.gtid = gtid;
  FillFromTable(table_, &view);
  if (const InFlight* txn = protocol_->Find(gtid)) FillFromInFlight(*txn, now, &view);
  FillHeuristics(table_, &view);
  return view;
}

std::vector<TransactionView> Core::List(const Gtid& after, size_t limit,
                                        Timestamp now) const {
  std::vector<TransactionView> views;
  auto entry = table_.live().upper_bound(after);
  for (; entry != table_.live().end() && views.size() < limit; ++entry) {
    views.push_back(Show(entry->first, now));
  }
  return views;
}

std::vector<HeuristicView> Core::Heuristics(const BranchId& after, size_t limit) const {
  std::vector<HeuristicView> views;
  auto entry = table_.heuristics().upper_bound(after);
  for (; entry != table_.heuristics().end() && views.size() < limit; ++entry) {
    views.push_back(
        HeuristicView{entry->first, entry->second.what, entry->second.detail});
  }
  return views;
}

StatusView Core::Status() const {
  StatusView status;
  status.group = table_.group();
  status.term = term_;
  status.leading = is_leader();
  status.ready = is_ready();
  status.last_applied = table_.last_applied();
  status.watermark = table_.watermark();
  status.live = table_.live().size();
  status.in_progress = protocol_->size();
  status.retained = table_.ended().size();
  status.retained_bytes = table_.ended().bytes();
  status.waiting_requests = until_ready_.waiting();
  status.heuristics = table_.heuristics().size();
  return status;
}

}  // namespace concordat::txn
