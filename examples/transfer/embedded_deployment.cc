#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/embedded/embedded.h"
#include "examples/transfer/deployment.h"
#include "participant/daemon/resources.h"

namespace concordat::transfer {

namespace {

class EmbeddedDeployment final : public Deployment {
 public:
  EmbeddedDeployment(std::unique_ptr<Embedded> embedded, size_t resources)
      : embedded_(std::move(embedded)), resources_(resources) {}

  client::Client* client() override { return embedded_->client(); }
  std::string Description() const override {
    return absl::StrCat("1 coordinator and ", resources_, " resources in one process");
  }
  absl::StatusOr<example::OpenWork> CountOpen() override {
    example::OpenWork open;
    open.transactions = embedded_->OpenTransactions();
    return open;
  }
  example::Victims* victims() override { return nullptr; }
  size_t leaders_seen() const override { return 1; }
  absl::Status Check() override { return absl::OkStatus(); }
  std::vector<std::string> Stop() override {
    embedded_.reset();
    return {};
  }

 private:
  std::unique_ptr<Embedded> embedded_;
  const size_t resources_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Deployment>> StartEmbedded(const BankResources& banks,
                                                          const std::string& folder) {
  std::vector<EmbeddedResource> resources;
  for (const BankResource& bank : banks) {
    const auto url = FileUrl(bank, folder);
    if (!url.ok()) return url.status();
    const auto spec = participant::ParseResourceSpec(absl::StrCat(bank.name, "=", *url));
    if (!spec.ok()) return spec.status();
    auto manager = participant::MakeResourceManager(*spec);
    if (!manager.ok()) return manager.status();
    resources.push_back({bank.name, *std::move(manager)});
  }
  EmbeddedOptions options;
  options.dir = absl::StrCat(folder, "/coordinator");
  auto embedded = Embedded::Start(std::move(options), std::move(resources));
  if (!embedded.ok()) return embedded.status();
  return std::make_unique<EmbeddedDeployment>(*std::move(embedded), banks.size());
}

}  // namespace concordat::transfer
