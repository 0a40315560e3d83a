// Callers that wait for an answer of a branch table, and the form that the answer has on
// the wire. Only for participant*.cc.
#ifndef PARTICIPANT_SDK_WAITERS_H_
#define PARTICIPANT_SDK_WAITERS_H_

#include <functional>
#include <string>
#include <utility>

#include "participant/sdk/participant.h"

namespace concordat::participant {

// The resource manager's reply in the form that the branch table keeps.
struct WireReply final : ExecuteReply {
  explicit WireReply(wire::ExecuteReply r);
  [[nodiscard]] size_t bytes() const override { return size; }
  const wire::ExecuteReply reply;
  const size_t size;  // of the reply, in memory
};

class Participant::Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void OnAnswer(const Slot& slot, Answer* answer) = 0;
  // The participant ends without knowing the answer.
  virtual void OnClosed(const Slot& slot) = 0;
};

class Participant::ExecuteWaiter final : public Waiter {
 public:
  ExecuteWaiter(Participant* owner, std::function<void(const wire::ExecuteReply&)> cob)
      : owner_(owner), cob_(std::move(cob)) {}
  void OnAnswer(const Slot& slot, Answer* answer) override;
  void OnClosed(const Slot& slot) override;

 private:
  void DeliverReply(const Slot& slot, const wire::ExecuteReply& reply);
  void Refuse(const Slot& slot, wire::Code::type code, std::string message);

  Participant* const owner_;
  const std::function<void(const wire::ExecuteReply&)> cob_;
};

class Participant::OnePhaseWaiter final : public Waiter {
 public:
  explicit OnePhaseWaiter(std::function<void(const wire::OnePhaseReply&)> cob)
      : cob_(std::move(cob)) {}
  void OnAnswer(const Slot& slot, Answer* answer) override;
  void OnClosed(const Slot& slot) override;

 private:
  const std::function<void(const wire::OnePhaseReply&)> cob_;
};

// A list whose items are answered one by one; the reply is sent when all are answered.
// The coordinators put only branches of one resource into a list, so that no resource
// waits for another.
class Participant::PrepareBatch final : public Waiter {
 public:
  PrepareBatch(std::function<void(const wire::PrepareReply&)> cob, size_t size);
  void OnAnswer(const Slot& slot, Answer* answer) override;
  void OnClosed(const Slot& slot) override;
  // The resource is not served here.
  void OnNotHere(uint32_t index);

 private:
  void Set(uint32_t index, wire::Vote::type vote, std::string detail);

  const std::function<void(const wire::PrepareReply&)> cob_;
  wire::PrepareReply reply_;
  size_t left_;              // items without an answer
  size_t detail_bytes_ = 0;  // of all texts in reply_
};

class Participant::FinishBatch final : public Waiter {
 public:
  FinishBatch(std::function<void(const wire::FinishReply&)> cob, size_t size);
  void OnAnswer(const Slot& slot, Answer* answer) override;
  void OnClosed(const Slot& slot) override;
  void OnNotHere(uint32_t index);

 private:
  void Set(uint32_t index, wire::FinishState::type state, std::string detail);

  const std::function<void(const wire::FinishReply&)> cob_;
  wire::FinishReply reply_;
  size_t left_;              // items without an answer
  size_t detail_bytes_ = 0;  // of all texts in reply_
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_WAITERS_H_
