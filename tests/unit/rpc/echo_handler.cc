#include "tests/unit/rpc/echo_handler.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace concordat::rpc::testing {

namespace {

EchoReply ReplyTo(const EchoRequest& request) {
  EchoReply reply;
  reply.__set_id(request.id);
  reply.__set_payload(request.payload);
  return reply;
}

int64_t Count(const Tree& tree) {
  int64_t count = 1;
  for (const Tree& child : tree.children) count += Count(child);
  return count;
}

}  // namespace

EchoHandler::~EchoHandler() {
  for (std::thread& thread : threads_) thread.join();
}

void EchoHandler::ping(std::function<void()> cob) {
  calls.fetch_add(1, std::memory_order_relaxed);
  cob();
}

void EchoHandler::RememberContext() {
  if (CallContext::Current() == nullptr) return;
  contexts_seen.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  last_context_ = *CallContext::Current();
}

void EchoHandler::Later(int32_t delay_ms, std::function<void()> answer) {
  const int now = waiting.fetch_add(1) + 1;
  most_waiting.store(std::max(most_waiting.load(), now));
  // Some tests change requests at random: there must be no delay of days.
  loop_->RunAfter(Duration::Millis(std::clamp(delay_ms, 0, 2000)),
                  [this, answer = std::move(answer)] {
                    waiting.fetch_sub(1);
                    answer();
                  });
}

bool EchoHandler::Special(const std::string& word, const std::function<void()>& answer) {
  if (word == "throw") throw std::runtime_error("the handler threw");
  if (word == "drop") return true;
  if (word == "hold") {
    const int now = waiting.fetch_add(1) + 1;
    most_waiting.store(std::max(most_waiting.load(), now));
    held_.push_back(answer);
    return true;
  }
  if (word == "drop-away") {
    threads_.emplace_back([copy = std::make_unique<std::function<void()>>(answer)] {});
    return true;
  }
  if (word == "away") {
    threads_.emplace_back([this, answer] { loop_->Post(answer); });
    return true;
  }
  return false;
}

void EchoHandler::echo(std::function<void(const EchoReply&)> cob,
                       std::function<void(::apache::thrift::TDelayedException*)> exn_cob,
                       const EchoRequest& request) {
  calls.fetch_add(1, std::memory_order_relaxed);
  const std::string word = request.words.empty() ? "" : request.words.front();
  if (word.empty() && request.delay_ms <= 0) {
    cob(ReplyTo(request));
    return;
  }
  if (word == "large") {
    EchoReply large = ReplyTo(request);
    large.payload.assign(static_cast<size_t>(std::clamp(request.delay_ms, 0, 5000)), 'x');
    cob(large);
    return;
  }
  RememberContext();
  std::function<void()> answer = [cob = std::move(cob), reply = ReplyTo(request)] {
    cob(reply);
  };
  if (word == "refuse") {
    answer = [exn_cob = std::move(exn_cob)] {
      Refused refused;
      refused.__set_why("as you wished");
      exn_cob(::apache::thrift::TDelayedException::delayException(refused));
    };
  } else if (Special(word, answer)) {
    return;
  }
  Later(request.delay_ms, std::move(answer));
}

void EchoHandler::echoBatch(std::function<void(const std::vector<EchoReply>&)> cob,
                            const std::vector<EchoRequest>& requests) {
  calls.fetch_add(1, std::memory_order_relaxed);
  std::vector<EchoReply> replies;
  replies.reserve(requests.size());
  for (const EchoRequest& request : requests) replies.push_back(ReplyTo(request));
  cob(replies);
}

void EchoHandler::countTree(std::function<void(const int64_t&)> cob, const Tree& tree) {
  calls.fetch_add(1, std::memory_order_relaxed);
  cob(Count(tree));
}

void EchoHandler::add(std::function<void(const int64_t&)> cob, const int64_t a,
                      const int64_t b) {
  calls.fetch_add(1, std::memory_order_relaxed);
  cob(static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)));
}

void EchoHandler::note(std::function<void()> cob, const EchoRequest& /*request*/) {
  notes.fetch_add(1, std::memory_order_relaxed);
  cob();
}

void EchoHandler::Release() {
  for (const auto& answer : std::exchange(held_, {})) {
    waiting.fetch_sub(1);
    answer();
  }
}

std::shared_ptr<apache::thrift::async::TAsyncProcessor> EchoProcessor(
    std::shared_ptr<EchoHandler> handler) {
  return std::make_shared<EchoServiceAsyncProcessorT<Codec>>(std::move(handler));
}

}  // namespace concordat::rpc::testing
