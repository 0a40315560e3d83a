// Composes the packets of a connection, and decides which statements stay prepared on the
// server.
#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "participant/resources/mariadb/connection.h"

namespace concordat::participant::mariadb {

namespace {

// The limits for the statements that a session keeps prepared: their number, the bytes of
// all texts together, and the bytes of one text. Others are prepared each time.
constexpr size_t kMaxKept = 256, kMaxKeptBytes = 256u << 10, kMaxKeptText = 16u << 10;
constexpr size_t kMaxWanted = 16;

void AppendLiteral(std::string* out, const database::Param& param) {
  absl::StrAppend(out, param.value.value_or("NULL"));
}

}  // namespace

void Connection::Compose(Batch* batch) {
  ++last_batch_;
  bool ahead = false;
  for (size_t i = 0; i < batch->statements.size(); ++i) {
    const Statement& statement = batch->statements[i];
    tainted_ = tainted_ || Has(statement, kTaints);
    if (statement.client && !std::exchange(ahead, true)) PrepareAhead(batch, i);
    if (!batch->text.empty()) batch->text.push_back(';');
    if (statement.client) {
      ComposeKept(batch, i);
    } else {
      absl::StrAppend(&batch->text, statement.sql);
    }
    batch->slots.push_back({i, "", ""});
  }
}

// Statements are prepared before the first of a user's statements runs. Then a change of
// the session that the server reports with a PREPARE comes from that PREPARE. If it could
// come from an earlier statement, which has returned rows, nothing is prepared now.
void Connection::PrepareAhead(Batch* batch, size_t first) {
  for (size_t i = first; i < batch->statements.size(); ++i) {
    const auto known = kept_.find(batch->statements[i].sql);
    if (known != kept_.end()) known->second.used = last_batch_;
  }
  for (size_t i = first; i < batch->statements.size() && !unreported_; ++i) {
    const Statement& statement = batch->statements[i];
    if (!statement.client || kept_.contains(statement.sql)) continue;
    if (MakeRoomToKeep(statement.sql)) Prepare(batch, i, statement.sql);
  }
  if (unreported_) return;
  for (std::string& name : std::exchange(drops_, {})) {
    absl::StrAppend(&batch->text, batch->text.empty() ? "" : ";", "DEALLOCATE PREPARE ",
                    name);
    batch->slots.push_back({first, "", std::move(name)});
  }
}

void Connection::Prepare(Batch* batch, size_t index, const std::string& sql) {
  Kept kept;
  kept.name = absl::StrCat("c", ++last_name_);
  kept.used = last_batch_;
  absl::StrAppend(&batch->text, batch->text.empty() ? "" : ";", "PREPARE ", kept.name,
                  " FROM 0x", absl::BytesToHexString(sql));
  batch->slots.push_back({index, sql, ""});
  kept_bytes_ += sql.size();
  kept_.emplace(sql, std::move(kept));
}

// Drops the statements that were not used for the longest time, but none of this batch.
bool Connection::MakeRoomToKeep(const std::string& sql) {
  if (sql.size() > kMaxKeptText) return false;
  while (kept_.size() >= kMaxKept || kept_bytes_ + sql.size() > kMaxKeptBytes) {
    const auto oldest = std::min_element(
        kept_.begin(), kept_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    if (oldest == kept_.end() || oldest->second.used == last_batch_) return false;
    drops_.push_back(oldest->second.name);
    kept_bytes_ -= oldest->first.size();
    kept_.erase(oldest);
  }
  return true;
}

void Connection::ComposeKept(Batch* batch, size_t index) {
  const Statement& statement = batch->statements[index];
  const std::string parameters =
      statement.params.empty()
          ? ""
          : absl::StrCat(" USING ", absl::StrJoin(statement.params, ",", AppendLiteral));
  const auto known = kept_.find(statement.sql);
  if (known != kept_.end()) {
    absl::StrAppend(&batch->text, "EXECUTE ", known->second.name, parameters);
    return;
  }
  absl::StrAppend(&batch->text, "EXECUTE IMMEDIATE 0x",
                  absl::BytesToHexString(statement.sql), parameters);
  if (unreported_ && statement.sql.size() <= kMaxKeptText &&
      wanted_.size() < kMaxWanted) {
    wanted_.push_back(statement.sql);
  }
}

// Prepares the statements that could not be prepared when they were sent (PrepareAhead).
void Connection::KeepWanted() {
  ++last_batch_;
  for (const std::string& sql : std::exchange(wanted_, {})) {
    if (kept_.contains(sql) || !MakeRoomToKeep(sql)) continue;
    Batch batch;
    Prepare(&batch, 0, sql);
    Statement prepare{std::move(batch.text)};
    prepare.traits = kChangesSession;
    Run({std::move(prepare)}, [this, sql](const database::BatchResult& r) {
      if (!r.ok() && kept_.erase(sql) > 0) kept_bytes_ -= sql.size();
    });
  }
}

}  // namespace concordat::participant::mariadb
