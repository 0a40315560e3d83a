// Lifetime: tells callbacks that may come after their owner's end whether it still
// exists. The owner has one as its last member, which is the first to be destroyed.
//
//   loop_->Defer(lifetime_.IfAlive([this] { SendAll(); }));
//
// Where something has to be done even so, for example for somebody who waits:
//
//   pool->Acquire([this, watch = lifetime_.watch(), done](Session* session) {
//     if (!watch.alive()) return done("closed");
//     Run(session, done);
//   });
#ifndef COORDINATOR_BASE_LIFETIME_H_
#define COORDINATOR_BASE_LIFETIME_H_

#include <memory>
#include <utility>

namespace concordat {

// watch() and IfAlive() may be called by any thread while the owner exists, and what they
// return may be copied, moved and destroyed by any thread at any time. Whether the owner
// is alive must be asked on the thread that destroys it, which is its event loop's:
// elsewhere it could end right after the answer.
class Lifetime {
 public:
  class Watch {
   public:
    [[nodiscard]] bool alive() const { return !token_.expired(); }

   private:
    friend class Lifetime;
    explicit Watch(const std::shared_ptr<char>& token) : token_(token) {}

    std::weak_ptr<char> token_;
  };

  Lifetime() = default;
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  [[nodiscard]] Watch watch() const { return Watch(token_); }

  // Calls `callback`, with all arguments, if the owner is alive then, and else does
  // nothing. Can be copied if `callback` can.
  template <class Callback>
  [[nodiscard]] auto IfAlive(Callback callback) const {
    return [watch = watch(),
            callback = std::move(callback)](auto&&... arguments) mutable -> void {
      if (watch.alive()) callback(std::forward<decltype(arguments)>(arguments)...);
    };
  }

  // For a destructor whose body still leads to callbacks. No watch() afterwards.
  void End() { token_.reset(); }

 private:
  std::shared_ptr<char> token_ = std::make_shared<char>();
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_LIFETIME_H_
