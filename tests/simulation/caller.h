// The calls of a simulated process: each is answered once, or times out.
//
//   caller.Call(node, CommitCall{...}, Duration::Millis(300), [](const Payload* reply) {
//     // null: no answer in time, so the result is not known
//   });
//   caller.OnReply(packet);       // from Process::Receive
#ifndef TESTS_SIMULATION_CALLER_H_
#define TESTS_SIMULATION_CALLER_H_

#include <functional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

class Caller {
 public:
  using Done = std::function<void(const Payload* reply)>;

  explicit Caller(World* world) : world_(world) {}
  void SetProcess(ProcessId id) { process_ = id; }

  void Call(ProcessId to, Payload payload, Duration timeout, Done done) {
    const CallId call = world_->NewCall();
    waiting_[call] = std::move(done);
    world_->Send(process_, to, call, std::move(payload));
    world_->After(process_, timeout, [this, call] { Finish(call, nullptr); });
  }
  // False: no call waits for this answer (any more).
  bool OnReply(const Packet& packet) { return Finish(packet.call, &packet.payload); }
  void Clear() { waiting_.clear(); }

 private:
  bool Finish(CallId call, const Payload* reply) {
    const auto it = waiting_.find(call);
    if (it == waiting_.end()) return false;
    const Done done = std::move(it->second);
    waiting_.erase(it);
    done(reply);
    return true;
  }

  World* world_;
  ProcessId process_;
  absl::flat_hash_map<CallId, Done> waiting_;
};

// The reply as a T; null when there is none, or it is of another type.
template <class T>
[[nodiscard]] const T* ReplyAs(const Payload* reply) {
  return reply == nullptr ? nullptr : std::get_if<T>(reply);
}

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_CALLER_H_
