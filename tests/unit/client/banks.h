// Two KV banks and a coordinator in one process, for tests of the client library.
#ifndef TESTS_UNIT_CLIENT_BANKS_H_
#define TESTS_UNIT_CLIENT_BANKS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/client/client.h"
#include "coordinator/embedded/embedded.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/resource_manager.h"
#include "tests/support/temp_dir.h"

namespace concordat::client {

[[nodiscard]] inline participant::kv::KvOptions SmallBank() {
  participant::kv::KvOptions small;
  small.segment_bytes = 8 << 20;
  small.reserve_bytes = 1 << 20;
  return small;
}

// "bank-a" and "bank-b".
class Banks {
 public:
  explicit Banks(EmbeddedOptions options = {},
                 std::unique_ptr<participant::ResourceManager> bank_a = nullptr) {
    std::vector<EmbeddedResource> resources;
    if (bank_a == nullptr) bank_a = NewBank(folder_.path() + "/bank-a");
    resources.push_back({"bank-a", std::move(bank_a)});
    resources.push_back({"bank-b", NewBank(folder_.path() + "/bank-b")});
    options.dir = folder_.path() + "/coordinator";
    auto embedded = Embedded::Start(std::move(options), std::move(resources));
    CONCORDAT_CHECK(embedded.ok()) << embedded.status().message();
    embedded_ = std::move(*embedded);
  }

  [[nodiscard]] Client* client() { return embedded_->client(); }

  // The committed balance.
  [[nodiscard]] int64_t Balance(const std::string& bank, const std::string& account) {
    int64_t balance = 0;
    const CommitResult result = client()->Run([&](Transaction& t) -> absl::Status {
      const auto found = t.Kv(bank, {Get(account)});
      if (!found.ok()) return found.status();
      const auto& pairs = (*found)[0].pairs;
      balance = pairs.empty() ? 0 : std::stoll(pairs[0].value);
      return absl::OkStatus();
    });
    CONCORDAT_CHECK(result.committed()) << result;
    return balance;
  }

 private:
  static std::unique_ptr<participant::ResourceManager> NewBank(const std::string& dir) {
    return std::make_unique<participant::kv::KvResourceManager>(dir, SmallBank());
  }

  const testing::TempDir folder_;
  std::unique_ptr<Embedded> embedded_;
};

}  // namespace concordat::client

#endif  // TESTS_UNIT_CLIENT_BANKS_H_
