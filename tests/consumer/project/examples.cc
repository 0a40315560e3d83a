// Uses the public headers as a user would.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/client/client.h"
#include "coordinator/embedded/embedded.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/channel_link.h"
#include "participant/sdk/participant.h"
#include "thrift/rpc/server.h"

namespace consumer {

using namespace concordat;          // NOLINT: as a user may
using namespace concordat::client;  // NOLINT

// Would be an error under this project's own warnings: they are not the user's.
int Narrowed(long wide) {
  int narrow = wide;
  return narrow;
}

// client.h
bool MoveMoney() {
  auto client = Client::Connect({.coordinators = {"127.0.0.1:7001", "127.0.0.1:7002"}});
  if (!client.ok()) return false;
  CommitResult result = (*client)->Run([](Transaction& t) -> absl::Status {
    auto debit = t.Kv("bank-a", {AddIfAtLeast("alice", -500, 0)});
    if (!debit.ok()) return debit.status();
    return t.Kv("bank-b", {Add("bob", 500)}).status();
  });
  if (result.outcome == Outcome::kUnknown) result = (*client)->Ask(result);
  auto isolated = (*client)->Begin({.isolation = {{"bank-a", "serializable"}}});
  return isolated.ok() && result.committed();
}

absl::StatusOr<std::string> CallServiceB(const std::string& context);

CommitResult ServiceA(Client* client) {
  CommitResult result = client->Run([&](Transaction& t) -> absl::Status {
    auto debit = t.Kv("bank-a", {Add("alice", -5)});
    if (!debit.ok()) return debit.status();
    auto branches = CallServiceB(t.Share());
    if (!branches.ok()) return branches.status();
    return t.Merge(*branches);
  });
  return result;
}

absl::StatusOr<std::string> ServiceB(Client* client, const std::string& context) {
  auto joined = client->Join(context);
  if (!joined.ok()) return joined.status();
  auto credit = joined->Kv("bank-b", {Add("bob", 5)});
  if (!credit.ok()) return credit.status();
  return joined->CarryBack();
}

// async_client.h
void Asynchronous(rpc::EventLoop* loop, LinkProvider* provider, ClientOptions options,
                  const wire::ExecuteRequest& work) {
  LinkProvider& links = *provider;
  AsyncClient client(loop, &links, options);
  client.Begin({}, [work](absl::StatusOr<std::shared_ptr<AsyncTransaction>> txn) {
    if (!txn.ok()) return;
    (*txn)->Execute("bank-a", work, [](const wire::ExecuteReply& reply) { (void)reply; });
    (*txn)->Commit([](const CommitResult& result) { (void)result; });
  });
}

// embedded.h
absl::Status InOneProcess() {
  std::vector<EmbeddedResource> resources;
  resources.push_back(
      {"bank-a", std::make_unique<participant::kv::KvResourceManager>(
                     "/var/lib/app/bank-a", participant::kv::KvOptions())});
  auto embedded = Embedded::Start({.dir = "/var/lib/app/txn"}, std::move(resources));
  if (!embedded.ok()) return embedded.status();
  client::CommitResult result =
      (*embedded)->client()->Run([](client::Transaction& t) -> absl::Status {
        return t.Kv("bank-a", {client::Add("alice", 5)}).status();
      });
  return result.work;
}

// participant.h
void Serve(rpc::EventLoop* loop) {
  using namespace concordat::participant;  // NOLINT
  auto link = ChannelLink::Create(loop, {"10.0.0.1:7070"}, {});
  ParticipantOptions options;
  options.advertise = "10.0.0.9:7080";
  auto participant = std::make_shared<Participant>(loop, *std::move(link), options);
  rpc::Server server(loop, Participant::MakeProcessor(participant));
  loop->Run();
  participant->Stop([&] { loop->Stop(); });
}

}  // namespace consumer
