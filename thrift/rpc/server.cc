#include "thrift/rpc/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "thrift/rpc/process.h"
#include "thrift/rpc/server_core.h"

namespace concordat::rpc {

namespace internal {

namespace {

// How long a listener waits when the process is out of descriptors.
constexpr Duration kAcceptPause = Duration::Millis(50);
// How many connections are accepted in one iteration, so that a flood of connections
// does not keep the loop from those that exist.
constexpr int kAcceptsAtOnce = 64;

ConnectionId NextConnectionId() {
  static std::atomic<uint64_t> last{0};
  return ConnectionId(last.fetch_add(1, std::memory_order_relaxed) + 1);
}

// The key under which a connection is counted.
std::string PeerKey(const Address& peer) {
  return peer.is_unix() ? std::string("unix") : peer.host();
}

}  // namespace

// ---- Listener ----

class Listener final : private FdWatch::Handler {
 public:
  Listener(ServerCore* core, OwnedFd fd, const Address& address)
      : core_(core),
        fd_(std::move(fd)),
        address_(address),
        watch_(new FdWatch(core->loop(), fd_.get(), this)) {
    if (address_.is_unix()) stat(address_.host().c_str(), &file_);
    watch_->WatchRead(true);
  }

  ~Listener() {
    core_->loop()->Cancel(pause_timer_);
    watch_.reset();
    struct stat now {};
    // The file is not removed if it belongs to another process that has taken our place.
    if (address_.is_unix() && stat(address_.host().c_str(), &now) == 0 &&
        now.st_dev == file_.st_dev && now.st_ino == file_.st_ino) {
      unlink(address_.host().c_str());
    }
  }

 private:
  void OnFdEvent(bool /*readable*/, bool /*writable*/) override {
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
      if (core_->IsFull()) {
        // Perhaps no connection waits; one that does causes another event.
        if (i > 0) return;
        if (!core_->MakeRoom()) {
          return Pause("all connections that are allowed are in use");
        }
      }
      SocketAddress peer;
      peer.length = sizeof peer.storage;
      OwnedFd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer.storage),
                         &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) {
        core_->Accept(std::move(fd), peer);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      Pause(strerror(errno));
      return;
    }
  }

  // At the limit, or out of descriptors or memory: the connection stays in the kernel's
  // queue. Waiting for the socket to be readable would spin.
  void Pause(std::string_view why) {
    watch_->WatchRead(false);
    core_->OnAcceptPaused(why);
    pause_timer_ =
        core_->loop()->RunAfter(kAcceptPause, [this] { watch_->WatchRead(true); });
  }

  ServerCore* const core_;
  OwnedFd fd_;
  const Address address_;
  struct stat file_ {};
  std::unique_ptr<FdWatch> watch_;
  TimerId pause_timer_;
};

// ---- ServerConnection ----

void ServerConnection::AddCall(size_t bytes) {
  has_called_ = true;
  ++calls_;
  call_bytes_ += bytes;
  ReviewPause();
}

void ServerConnection::RemoveCall(size_t bytes) {
  CONCORDAT_CHECK(calls_ > 0 && call_bytes_ >= bytes);
  --calls_;
  call_bytes_ -= bytes;
  ReviewPause();
}

bool ServerConnection::OverBudget() const {
  return calls_ >= limits_.max_calls_in_flight ||
         call_bytes_ > limits_.max_buffered_in_bytes ||
         buffered_out() > limits_.max_buffered_out_bytes / 2;
}

void ServerConnection::ReviewPause() {
  if (stopping_ || OverBudget()) {
    PauseReading();
  } else {
    ResumeReading();
  }
}

void ServerConnection::StopReading() {
  stopping_ = true;
  PauseReading();
}

void ServerConnection::CountBadFrame() {
  if (++bad_frames_ >= limits_.max_bad_frames) {
    Close(absl::InvalidArgumentError("too many bad frames"));
  }
}

void ServerConnection::OnFrame(const uint8_t* data, size_t size) {
  core_->Dispatch(this, data, size);
}

void ServerConnection::OnClosed(const absl::Status& why) {
  core_->OnConnectionClosed(this, why);
}

// ---- ServerCore: connections ----

ServerCore::ServerCore(EventLoop* loop,
                       std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor,
                       Limits limits, ServerOptions options)
    : loop_(loop),
      posts_(loop->post_queue()),
      processor_(std::move(processor)),
      limits_(limits),
      options_(std::move(options)),
      reader_(MakeReader(limits)),
      writer_(MakeWriter(limits)) {
  // Time-outs are checked so often that none is exceeded by more than a quarter.
  const Duration shortest =
      std::min({limits_.idle_timeout, limits_.frame_timeout, limits_.write_timeout});
  const int64_t period = std::clamp<int64_t>(shortest.micros() / 4, 10000, 500000);
  sweep_timer_ = loop_->RunEvery(Duration::Micros(period), [this] { Sweep(); });
}

ServerCore::~ServerCore() = default;

absl::StatusOr<Address> ServerCore::Listen(const Address& address) {
  absl::StatusOr<OwnedFd> fd = ListenOn(address, options_.listen_backlog);
  if (!fd.ok()) return fd.status();
  const Address bound = address.is_unix() ? address : LocalAddress(fd->get());
  listeners_.push_back(std::make_unique<Listener>(this, std::move(*fd), bound));
  return bound;
}

void ServerCore::Accept(OwnedFd fd, const SocketAddress& peer) {
  const Address address = Address::FromSocket(peer);
  uint32_t& of_peer = connections_of_peer_[PeerKey(address)];
  if (of_peer >= limits_.max_connections_per_peer) {
    ++stats.refused_connections;
    const std::string text = absl::StrCat(of_peer, " connections from ", PeerKey(address),
                                          ", and no more are allowed");
    Report({Level::kWarning, "connection refused", options_.name, text});
    return;  // the descriptor closes itself
  }
  ++of_peer;
  ++stats.accepted;
  TuneSocket(fd.get());
  auto connection =
      std::make_shared<ServerConnection>(loop_, NewPlainStream(std::move(fd)), limits_,
                                         this, CallContext{NextConnectionId(), address});
  connections_.emplace(connection.get(), connection);
  connection->Open();
}

std::shared_ptr<ServerConnection> ServerCore::MostReplaceable() const {
  std::shared_ptr<ServerConnection> found;
  for (const auto& [raw, connection] : connections_) {
    if (connection->calls() > 0 || connection->buffered_out() > 0) continue;
    if (found != nullptr && found->has_called() == connection->has_called()) {
      if (connection->last_activity() < found->last_activity()) found = connection;
    } else if (found == nullptr || !connection->has_called()) {
      found = connection;
    }
  }
  return found;
}

bool ServerCore::MakeRoom() {
  const std::shared_ptr<ServerConnection> quietest = MostReplaceable();
  if (quietest == nullptr) return false;
  const Duration least = quietest->has_called() ? limits_.quiet_before_replaced
                                                : limits_.silent_before_replaced;
  if (loop_->Now() - quietest->last_activity() < least) return false;
  ++stats.replaced;
  const std::string text =
      absl::StrCat("all ", limits_.max_connections, " connections are in use; that of ",
                   quietest->context().peer.ToString(), " makes room for a new one");
  Report({Level::kWarning, "connection limit reached", options_.name, text});
  quietest->Close(absl::ResourceExhaustedError("its place was needed"));
  return true;
}

void ServerCore::OnAcceptPaused(std::string_view why) {
  ++stats.accept_pauses;
  const std::string text =
      absl::StrCat(absl::string_view(why.data(), why.size()), ": ", connections_.size(),
                   " connections, of ", limits_.max_connections);
  Report({Level::kWarning, "accepting paused", options_.name, text});
}

void ServerCore::OnConnectionClosed(ServerConnection* connection,
                                    const absl::Status& why) {
  if (absl::IsDeadlineExceeded(why)) ++stats.timed_out;
  if (absl::IsInvalidArgument(why) || absl::IsDeadlineExceeded(why)) {
    const std::string text =
        absl::StrCat(connection->context().peer.ToString(), ": ", why.message());
    const Level level = absl::IsInvalidArgument(why) ? Level::kWarning : Level::kDebug;
    Report({level, "connection closed", options_.name, text});
  }
  const auto of_peer = connections_of_peer_.find(PeerKey(connection->context().peer));
  if (of_peer != connections_of_peer_.end() && --of_peer->second == 0) {
    connections_of_peer_.erase(of_peer);
  }
  connections_.erase(connection);
}

void ServerCore::Sweep() {
  std::vector<std::pair<std::shared_ptr<ServerConnection>, absl::Status>> late;
  for (const auto& [raw, connection] : connections_) {
    absl::Status status = connection->CheckTime(loop_->Now(), connection->calls() == 0,
                                                limits_.idle_timeout);
    if (!status.ok()) late.emplace_back(connection, std::move(status));
  }
  for (auto& [connection, why] : late) connection->Close(why);
}

void ServerCore::Stop(Duration grace, absl::AnyInvocable<void()> done) {
  CONCORDAT_CHECK(!stopping_) << "a server stops once";
  stopping_ = true;
  stop_done_ = std::move(done);
  listeners_.clear();
  for (const auto& [raw, connection] : connections_) connection->StopReading();
  stop_timer_ = loop_->RunAfter(grace, [this] { FinishStop(); });
  FinishStopIfIdle();
}

void ServerCore::FinishStopIfIdle() {
  if (!stopping_ || calls_ > 0) return;
  // The server is not stopped here, since this is called from inside a handler's answer.
  loop_->Cancel(stop_timer_);
  stop_timer_ = loop_->RunAfter(Duration(), [this] { FinishStop(); });
}

void ServerCore::FinishStop() {
  if (!stop_done_) return;
  absl::AnyInvocable<void()> done = std::exchange(stop_done_, nullptr);
  const std::shared_ptr<ServerCore> self = shared_from_this();
  for (const auto& connection : std::vector(connections_.begin(), connections_.end())) {
    connection.second->FlushNow();
  }
  CloseAll();
  done();
}

void ServerCore::CloseAll() {
  loop_->Cancel(std::exchange(sweep_timer_, TimerId()));
  loop_->Cancel(std::exchange(stop_timer_, TimerId()));
  listeners_.clear();
  for (const auto& connection : std::vector(connections_.begin(), connections_.end())) {
    connection.second->Close(absl::CancelledError("the server stops"));
  }
}

}  // namespace internal

// ---- Server ----

Server::Server(EventLoop* loop,
               std::shared_ptr<apache::thrift::async::TAsyncProcessor> processor,
               Limits limits, ServerOptions options)
    : core_(std::make_shared<internal::ServerCore>(loop, std::move(processor), limits,
                                                   std::move(options))) {}

Server::~Server() { core_->CloseAll(); }

absl::StatusOr<Address> Server::Listen(const Address& address) {
  return core_->Listen(address);
}

void Server::Stop(Duration grace, absl::AnyInvocable<void()> done) {
  core_->Stop(grace, std::move(done));
}

ServerStats Server::stats() const {
  ServerStats stats = core_->stats;
  stats.connections = core_->connections();
  return stats;
}

}  // namespace concordat::rpc
