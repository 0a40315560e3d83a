#include <limits>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "examples/transfer/resource_access.h"

namespace concordat::transfer {

namespace {

constexpr char kAccounts[] = "account/";
constexpr char kAccountsEnd[] = "account0";  // '0' comes after '/'
constexpr char kTransfers[] = "transfer/";
constexpr char kTransfersEnd[] = "transfer0";

std::string AccountKey(const std::string& key) { return absl::StrCat(kAccounts, key); }

// With all digits, so that keys are in the order of numbers.
std::string TransferKey(uint64_t number) {
  return absl::StrFormat("%s%020d", kTransfers, number);
}

std::string EvidenceText(const Evidence& evidence) {
  return absl::StrCat(evidence.gtid, " ", evidence.net.units());
}

absl::StatusOr<Evidence> ParseEvidence(const wire::KvPair& pair) {
  Evidence evidence;
  int64_t net = 0;
  const std::vector<std::string> words = absl::StrSplit(pair.value, ' ');
  if (pair.key.rfind(kTransfers, 0) != 0 || words.size() != 2 ||
      !absl::SimpleAtoi(pair.key.substr(sizeof kTransfers - 1), &evidence.number) ||
      !absl::SimpleAtoi(words[1], &net)) {
    return absl::DataLossError(
        absl::StrCat("no evidence: ", pair.key, " = ", pair.value));
  }
  evidence.gtid = words[0];
  evidence.net = Money::FromUnits(net);
  return evidence;
}

absl::StatusOr<Balance> ParseBalance(const wire::KvPair& pair) {
  int64_t units = 0;
  if (pair.key.rfind(kAccounts, 0) != 0 || !absl::SimpleAtoi(pair.value, &units)) {
    return absl::DataLossError(absl::StrCat("no balance: ", pair.key, " = ", pair.value));
  }
  return Balance(pair.key.substr(sizeof kAccounts - 1), Money::FromUnits(units));
}

wire::ExecuteRequest KvRequest(std::vector<wire::KvOperation> operations) {
  wire::ExecuteRequest request;
  request.__isset.kv = true;
  request.kv = std::move(operations);
  return request;
}

wire::KvOperation ToKv(const AccountOperation& operation) {
  const std::string key = AccountKey(ToString(operation.account));
  const int64_t units = operation.amount.units();
  switch (operation.kind) {
    case AccountOperation::Kind::kAddIfAtLeast:
      return client::AddIfAtLeast(key, units, 0);
    case AccountOperation::Kind::kSet:
      return client::Put(key, absl::StrCat(units));
    case AccountOperation::Kind::kAdd:
      break;
  }
  return client::Add(key, units);
}

class KvAccess final : public ResourceAccess {
 public:
  wire::ExecuteRequest Open(const std::vector<Balance>& accounts) const override {
    std::vector<wire::KvOperation> operations;
    for (const auto& [key, money] : accounts) {
      operations.push_back(client::CompareAndSet(AccountKey(key), std::nullopt,
                                                 absl::StrCat(money.units())));
    }
    return KvRequest(std::move(operations));
  }

  // Adding 0 takes an exclusive lock at once. The shared lock of a GET would have to be
  // upgraded later, which two readers of the same account cannot both do.
  wire::ExecuteRequest Read(const std::vector<std::string>& keys,
                            bool lock) const override {
    std::vector<wire::KvOperation> operations;
    for (const std::string& key : keys) {
      operations.push_back(lock ? client::Add(AccountKey(key), 0)
                                : client::Get(AccountKey(key)));
    }
    return KvRequest(std::move(operations));
  }

  absl::StatusOr<std::vector<Money>> ReadBalances(
      const wire::ExecuteReply& reply) const override {
    std::vector<Money> balances;
    for (const wire::KvResult& result : reply.kv) {
      if (result.__isset.sum) {
        balances.push_back(Money::FromUnits(result.sum));
        continue;
      }
      if (result.pairs.size() != 1) return absl::InternalError("an account is missing");
      const auto balance = ParseBalance(result.pairs[0]);
      if (!balance.ok()) return balance.status();
      balances.push_back(balance->second);
    }
    return balances;
  }

  wire::ExecuteRequest Write(const std::vector<AccountOperation>& operations,
                             const Evidence& evidence) const override {
    std::vector<wire::KvOperation> kv;
    for (const AccountOperation& operation : operations) kv.push_back(ToKv(operation));
    // Also refuses to do a transfer twice.
    kv.push_back(client::CompareAndSet(TransferKey(evidence.number), std::nullopt,
                                       EvidenceText(evidence)));
    return KvRequest(std::move(kv));
  }

  // Not called after an overdraft, which is CONDITION_FAILED.
  absl::Status CheckWrite(const std::vector<AccountOperation>& operations,
                          const wire::ExecuteReply& reply) const override {
    if (reply.kv.size() == operations.size() + 1) return absl::OkStatus();
    return absl::InternalError("fewer results than operations");
  }

  wire::ExecuteRequest ListBalances(const std::string& after) const override {
    // The next possible key is the same with a zero byte added.
    std::string begin = kAccounts;
    if (!after.empty()) begin.append(after).push_back('\0');
    return KvRequest({client::Range(std::move(begin), kAccountsEnd, kPage)});
  }

  absl::StatusOr<std::vector<Balance>> ListedBalances(
      const wire::ExecuteReply& reply) const override {
    std::vector<Balance> balances;
    for (const wire::KvResult& result : reply.kv) {
      for (const wire::KvPair& pair : result.pairs) {
        auto balance = ParseBalance(pair);
        if (!balance.ok()) return balance.status();
        balances.push_back(std::move(*balance));
      }
    }
    return balances;
  }

  wire::ExecuteRequest ListEvidence(uint64_t after) const override {
    return KvRequest({client::Range(TransferKey(after + 1), kTransfersEnd, kPage)});
  }

  absl::StatusOr<std::vector<Evidence>> ListedEvidence(
      const wire::ExecuteReply& reply) const override {
    std::vector<Evidence> rows;
    for (const wire::KvResult& result : reply.kv) {
      for (const wire::KvPair& pair : result.pairs) {
        auto evidence = ParseEvidence(pair);
        if (!evidence.ok()) return evidence.status();
        rows.push_back(std::move(*evidence));
      }
    }
    return rows;
  }
};

}  // namespace

std::unique_ptr<ResourceAccess> MakeKvAccess() { return std::make_unique<KvAccess>(); }

}  // namespace concordat::transfer
