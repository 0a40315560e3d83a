#include "absl/strings/str_cat.h"
#include "examples/transfer/resource_access.h"

namespace concordat::transfer {

namespace {

using client::IntegerValue;
using client::TextValue;

wire::ExecuteRequest SqlRequest(std::vector<wire::SqlStatement> statements) {
  wire::ExecuteRequest request;
  request.__isset.sql = true;
  request.sql = std::move(statements);
  return request;
}

absl::StatusOr<int64_t> Integer(const wire::SqlRow& row, size_t column) {
  if (column < row.values.size() && row.values[column].__isset.integer) {
    return row.values[column].integer;
  }
  return absl::DataLossError(absl::StrCat("column ", column, " is not an integer"));
}

absl::StatusOr<std::string> Text(const wire::SqlRow& row, size_t column) {
  if (column < row.values.size() && row.values[column].__isset.text) {
    return row.values[column].text;
  }
  return absl::DataLossError(absl::StrCat("column ", column, " is not a text"));
}

absl::StatusOr<Balance> ParseBalance(const wire::SqlRow& row) {
  auto id = Text(row, 0);
  if (!id.ok()) return id.status();
  const auto units = Integer(row, 1);
  if (!units.ok()) return units.status();
  return Balance(std::move(*id), Money::FromUnits(*units));
}

absl::StatusOr<Evidence> ParseEvidence(const wire::SqlRow& row) {
  const auto number = Integer(row, 0);
  if (!number.ok()) return number.status();
  auto gtid = Text(row, 1);
  if (!gtid.ok()) return gtid.status();
  const auto net = Integer(row, 2);
  if (!net.ok()) return net.status();
  return Evidence{static_cast<uint64_t>(*number), std::move(*gtid),
                  Money::FromUnits(*net)};
}

class SqlAccess final : public ResourceAccess {
 public:
  explicit SqlAccess(SqlDialect dialect) : dialect_(dialect) {}

  wire::ExecuteRequest Open(const std::vector<Balance>& accounts) const override {
    std::vector<wire::SqlStatement> statements;
    for (const auto& [key, money] : accounts) {
      statements.push_back(Statement("INSERT INTO accounts(id, balance) VALUES (?, ?)",
                                     {TextValue(key), IntegerValue(money.units())}));
    }
    return SqlRequest(std::move(statements));
  }

  wire::ExecuteRequest Read(const std::vector<std::string>& keys,
                            bool lock) const override {
    std::vector<wire::SqlStatement> statements;
    for (const std::string& key : keys) {
      statements.push_back(
          Statement(lock ? LockedRead() : "SELECT balance FROM accounts WHERE id = ?",
                    {TextValue(key)}));
    }
    return SqlRequest(std::move(statements));
  }

  absl::StatusOr<std::vector<Money>> ReadBalances(
      const wire::ExecuteReply& reply) const override {
    std::vector<Money> balances;
    for (const wire::SqlResult& result : reply.sql) {
      if (result.rows.size() != 1) return absl::InternalError("an account is missing");
      const auto units = Integer(result.rows[0], 0);
      if (!units.ok()) return units.status();
      balances.push_back(Money::FromUnits(*units));
    }
    return balances;
  }

  wire::ExecuteRequest Write(const std::vector<AccountOperation>& operations,
                             const Evidence& evidence) const override {
    std::vector<wire::SqlStatement> statements;
    for (const AccountOperation& operation : operations) {
      statements.push_back(ToSql(operation));
    }
    statements.push_back(
        Statement("INSERT INTO transfers(id, gtid, net) VALUES (?, ?, ?)",
                  {IntegerValue(static_cast<int64_t>(evidence.number)),
                   TextValue(evidence.gtid), IntegerValue(evidence.net.units())}));
    return SqlRequest(std::move(statements));
  }

  absl::Status CheckWrite(const std::vector<AccountOperation>& operations,
                          const wire::ExecuteReply& reply) const override {
    if (reply.sql.size() != operations.size() + 1) {
      return absl::InternalError("fewer results than statements");
    }
    for (size_t i = 0; i < operations.size(); ++i) {
      if (reply.sql[i].changed == 1) continue;
      const std::string key = ToString(operations[i].account);
      if (operations[i].kind == AccountOperation::Kind::kAddIfAtLeast) {
        return absl::FailedPreconditionError(absl::StrCat("not enough on ", key));
      }
      return absl::InternalError(absl::StrCat("account ", key, " is missing"));
    }
    return absl::OkStatus();
  }

  wire::ExecuteRequest ListBalances(const std::string& after) const override {
    return SqlRequest(
        {Statement("SELECT id, balance FROM accounts WHERE id > ? ORDER BY id LIMIT ?",
                   {TextValue(after), IntegerValue(kPage)})});
  }

  absl::StatusOr<std::vector<Balance>> ListedBalances(
      const wire::ExecuteReply& reply) const override {
    std::vector<Balance> balances;
    for (const wire::SqlResult& result : reply.sql) {
      for (const wire::SqlRow& row : result.rows) {
        auto balance = ParseBalance(row);
        if (!balance.ok()) return balance.status();
        balances.push_back(std::move(*balance));
      }
    }
    return balances;
  }

  wire::ExecuteRequest ListEvidence(uint64_t after) const override {
    return SqlRequest(
        {Statement("SELECT id, gtid, net FROM transfers WHERE id > ? ORDER BY id LIMIT ?",
                   {IntegerValue(static_cast<int64_t>(after)), IntegerValue(kPage)})});
  }

  absl::StatusOr<std::vector<Evidence>> ListedEvidence(
      const wire::ExecuteReply& reply) const override {
    std::vector<Evidence> rows;
    for (const wire::SqlResult& result : reply.sql) {
      for (const wire::SqlRow& row : result.rows) {
        auto evidence = ParseEvidence(row);
        if (!evidence.ok()) return evidence.status();
        rows.push_back(std::move(*evidence));
      }
    }
    return rows;
  }

 private:
  // `sql` has ? for parameters, which are $1, $2, … in PostgreSQL.
  [[nodiscard]] wire::SqlStatement Statement(const std::string& sql,
                                             std::vector<wire::Value> values) const {
    if (dialect_ != SqlDialect::kPostgresql) return client::Sql(sql, std::move(values));
    std::string numbered;
    int number = 0;
    for (const char c : sql) {
      if (c == '?') {
        absl::StrAppend(&numbered, "$", ++number);
      } else {
        numbered.push_back(c);
      }
    }
    return client::Sql(std::move(numbered), std::move(values));
  }

  // In SQLite a SELECT locks nothing (participant/resources/sqlite), but an UPDATE that
  // changes nothing does.
  [[nodiscard]] const char* LockedRead() const {
    return dialect_ == SqlDialect::kSqlite
               ? "UPDATE accounts SET balance = balance WHERE id = ? RETURNING balance"
               : "SELECT balance FROM accounts WHERE id = ? FOR UPDATE";
  }

  [[nodiscard]] wire::SqlStatement ToSql(const AccountOperation& operation) const {
    const wire::Value amount = IntegerValue(operation.amount.units());
    const wire::Value id = TextValue(ToString(operation.account));
    switch (operation.kind) {
      case AccountOperation::Kind::kAddIfAtLeast:
        return Statement(
            "UPDATE accounts SET balance = balance + ? "
            "WHERE id = ? AND balance + ? >= 0",
            {amount, id, amount});
      case AccountOperation::Kind::kSet:
        return Statement("UPDATE accounts SET balance = ? WHERE id = ?", {amount, id});
      case AccountOperation::Kind::kAdd:
        break;
    }
    return Statement("UPDATE accounts SET balance = balance + ? WHERE id = ?",
                     {amount, id});
  }

  const SqlDialect dialect_;
};

}  // namespace

std::unique_ptr<ResourceAccess> MakeSqlAccess(SqlDialect dialect) {
  return std::make_unique<SqlAccess>(dialect);
}

// Keys must be compared byte by byte in all dialects, because they are listed in pages.
std::string SqlSchema(SqlDialect dialect) {
  std::string key;
  std::string check;
  switch (dialect) {
    case SqlDialect::kSqlite:
      key = "TEXT";
      // A sum that does not fit would become a floating-point number.
      check = " CHECK (typeof(balance) = 'integer')";
      break;
    case SqlDialect::kPostgresql:
      key = "TEXT COLLATE \"C\"";
      break;
    case SqlDialect::kMariadb:
      key = "VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
      break;
  }
  return absl::StrCat("CREATE TABLE IF NOT EXISTS accounts(\n  id ", key,
                      " PRIMARY KEY NOT NULL,\n  balance BIGINT NOT NULL", check,
                      "\n);\n",
                      "CREATE TABLE IF NOT EXISTS transfers(\n"
                      "  id BIGINT PRIMARY KEY NOT NULL,\n"
                      "  gtid TEXT NOT NULL,\n"
                      "  net BIGINT NOT NULL\n"
                      ");\n");
}

}  // namespace concordat::transfer
