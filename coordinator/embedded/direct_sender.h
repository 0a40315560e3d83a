// PREPARE, COMMIT and ROLLBACK to a participant in the same process: what one loop
// iteration brings goes in one list, as over sockets.
#ifndef COORDINATOR_EMBEDDED_DIRECT_SENDER_H_
#define COORDINATOR_EMBEDDED_DIRECT_SENDER_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "concordat_wire/ParticipantService.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/rpc/resource_messenger.h"
#include "coordinator/txn/output.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::embedded {

// For the loop's thread. The participant must outlive it.
class DirectSender : public rpc::ResourceSender {
 public:
  DirectSender(rpc::EventLoop* loop, wire::ParticipantServiceCobSvIf* participant,
               rpc::HandleAnswer handle_answer);

  void SetCluster(ClusterId cluster) override { cluster_ = cluster; }
  void Send(const txn::Message& message) override;
  void SetAddress(const std::string&, const std::string&) override {}

 private:
  void SendAll();
  void SendBatch(txn::Verb verb, std::vector<BranchId> batch);

  rpc::EventLoop* const loop_;
  ClusterId cluster_;                                   // none until SetCluster
  wire::ParticipantServiceCobSvIf* const participant_;  // gets the messages
  rpc::HandleAnswer handle_answer_;
  std::array<std::vector<BranchId>, 3> pending_;  // by verb, for the end of the iteration
  bool deferred_ = false;                         // SendAll will run in this iteration
  Lifetime lifetime_;
};

}  // namespace concordat::embedded

#endif  // COORDINATOR_EMBEDDED_DIRECT_SENDER_H_
