// Calls the handler for a frame, and makes a frame of its answer.
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "thrift/rpc/foreign.h"
#include "thrift/rpc/process.h"
#include "thrift/rpc/server_core.h"

namespace concordat::rpc {

namespace {
thread_local const CallContext* current_context = nullptr;
}  // namespace

const CallContext* CallContext::Current() { return current_context; }

namespace internal {

using apache::thrift::protocol::T_CALL;
using apache::thrift::protocol::T_EXCEPTION;
using apache::thrift::protocol::T_I32;
using apache::thrift::protocol::T_ONEWAY;
using apache::thrift::protocol::T_REPLY;
using apache::thrift::protocol::T_STRING;
using apache::thrift::protocol::T_STRUCT;

namespace {

std::string Unreadable(const std::string& method, const std::string& excess) {
  return excess.empty() ? absl::StrCat("the arguments of ", method,
                                       " cannot be read, or a required one is missing")
                        : absl::StrCat("the arguments of ", method, " have ", excess);
}

}  // namespace

// ---- ServerCall ----

ServerCall::~ServerCall() {
  if (answered_) return;
  // No answer can come any more. This may be another thread, so the rest is posted to
  // the loop.
  const std::shared_ptr<PostQueue> posts = record_.core->posts();
  posts->Post([record = std::move(record_)] {
    if (!record.oneway) {
      record.core->SendError(record, TApplicationException::INTERNAL_ERROR,
                             "the handler gave up without an answer");
    }
    record.core->Release(record);
  });
}

void ServerCall::Done(bool ok) {
  ServerCore* const core = record_.core.get();
  CONCORDAT_CHECK(core->loop()->InLoopThread()) << "answered from another thread";
  CONCORDAT_CHECK(!answered_) << "a call is answered once: " << record_.method;
  answered_ = true;
  if (ok) {
    core->SendAnswer(record_);
  } else {
    malformed_ = core->is_dispatching(this) && !core->arguments_complete();
    core->SendError(record_,
                    malformed_ ? TApplicationException::PROTOCOL_ERROR
                               : TApplicationException::INTERNAL_ERROR,
                    malformed_ ? Unreadable(record_.method, core->arguments_excess())
                               : "the handler failed");
  }
  core->Release(record_);
}

void ServerCall::Threw(const std::string& what) {
  if (answered_) return;
  answered_ = true;
  ServerCore* const core = record_.core.get();
  malformed_ = !core->arguments_complete();
  core->SendError(record_,
                  malformed_ ? TApplicationException::PROTOCOL_ERROR
                             : TApplicationException::INTERNAL_ERROR,
                  what);
  core->Release(record_);
}

// ---- ServerCore: calls ----

void ServerCore::Dispatch(ServerConnection* connection, const uint8_t* data,
                          size_t size) {
  const MessageHeader header = ReadMessageHeader(data, size);
  if (!header.has_sequence) {
    ++stats.bad_frames;
    const std::string_view looks = FrameLooksLike(data, size);
    connection->Close(absl::InvalidArgumentError(
        absl::StrCat("not a compact Thrift message in a frame",
                     looks.empty() ? "" : ": it looks like ",
                     absl::string_view(looks.data(), looks.size()))));
    return;
  }
  if (header.type != T_CALL && header.type != T_ONEWAY) {
    Refuse(connection, header, TApplicationException::INVALID_MESSAGE_TYPE,
           "neither a call nor a oneway call");
    return;
  }
  if (!header.has_name) {
    Refuse(connection, header, TApplicationException::PROTOCOL_ERROR,
           "the method's name cannot be read");
    return;
  }
  ++stats.calls;
  ++calls_;
  connection->AddCall(size);
  auto self = std::static_pointer_cast<ServerConnection>(connection->shared_from_this());
  auto call = std::make_shared<ServerCall>(
      CallRecord{shared_from_this(), std::move(self), std::string(header.name),
                 header.sequence, header.type == T_ONEWAY, size});
  reader_->BeginRead(data, size);
  current_context = &connection->context();
  dispatching_ = call.get();
  RunProcessor(call);
  dispatching_ = nullptr;
  current_context = nullptr;
  if (call->was_malformed()) {
    ++stats.bad_frames;
    reader_ = MakeReader(limits_);
    connection->CountBadFrame();
  }
}

void ServerCore::RunProcessor(const std::shared_ptr<ServerCall>& call) {
  try {
    processor_->process([call](bool ok) { call->Done(ok); }, reader_, writer_);
  } catch (const std::exception& error) {
    // Thrown by a handler, or by the skipping of the arguments of an unknown method.
    DiscardAnswer();
    call->Threw(error.what());
  }
}

void ServerCore::Refuse(ServerConnection* connection, const MessageHeader& header,
                        ErrorType type, const std::string& text) {
  ++stats.bad_frames;
  if (header.type == T_ONEWAY) {
    connection->Close(absl::InvalidArgumentError(text));
    return;
  }
  WriteError(connection, header.name, header.sequence, type, text);
  connection->CountBadFrame();
}

void ServerCore::SendAnswer(const CallRecord& call) {
  const FrameBuffer& answer = *writer_->buffer();
  if (call.oneway || !call.connection->is_open()) {
    DiscardAnswer();
    return;
  }
  if (answer.output_size() == 0) {
    SendError(call, TApplicationException::MISSING_RESULT,
              absl::StrCat(call.method, " has no answer"));
    return;
  }
  if (const std::string excess = AnswerExcess(); !excess.empty()) {
    SendTooLarge(call, excess);
    return;
  }
  call.connection->AppendFrame(answer.output(), answer.output_size());
  DiscardAnswer();
  if (call.connection->buffered_out() <= limits_.max_buffered_out_bytes / 2) return;
  call.connection->FlushNow();
  if (call.connection->buffered_out() > limits_.max_buffered_out_bytes) {
    call.connection->Close(absl::InvalidArgumentError("the peer leaves its answers"));
  }
}

std::string ServerCore::AnswerExcess() const {
  const size_t size = writer_->buffer()->output_size();
  if (size > limits_.max_frame_bytes) {
    return absl::StrCat(size, " bytes, and ", limits_.max_frame_bytes, " are allowed");
  }
  return writer_->write_excess();
}

// Writes a reply by hand: { 0 success: { 1 result: { 1: code, 2: text } } }.
void ServerCore::SendTooLarge(const CallRecord& call, const std::string& excess) {
  const std::string text =
      absl::StrCat("the answer of ", call.method, " has ", excess, "; ask for less");
  Report({Level::kWarning, "answer too large", options_.name, text});
  if (!options_.too_large_code.has_value()) {
    SendError(call, TApplicationException::INTERNAL_ERROR, text);
    return;
  }
  writer_->BeginWrite();
  writer_->writeMessageBegin(call.method, T_REPLY, call.sequence);
  writer_->writeStructBegin("result");
  writer_->writeFieldBegin("success", T_STRUCT, 0);
  writer_->writeStructBegin("reply");
  writer_->writeFieldBegin("result", T_STRUCT, 1);
  writer_->writeStructBegin("Result");
  writer_->writeFieldBegin("code", T_I32, 1);
  writer_->writeI32(*options_.too_large_code);
  writer_->writeFieldBegin("message", T_STRING, 2);
  writer_->writeString(text);
  for (int open_structs = 3; open_structs > 0; --open_structs) {
    writer_->writeFieldStop();
    writer_->writeStructEnd();
  }
  writer_->writeMessageEnd();
  call.connection->AppendFrame(writer_->buffer()->output(),
                               writer_->buffer()->output_size());
  DiscardAnswer();
}

void ServerCore::SendError(const CallRecord& call, ErrorType type,
                           const std::string& text) {
  DiscardAnswer();
  if (call.oneway || !call.connection->is_open()) return;
  WriteError(call.connection.get(), call.method, call.sequence, type, text);
}

void ServerCore::WriteError(ServerConnection* connection, std::string_view method,
                            int32_t sequence, ErrorType type, const std::string& text) {
  writer_->BeginWrite();
  writer_->writeMessageBegin(std::string(method), T_EXCEPTION, sequence);
  TApplicationException(type, text).write(writer_.get());
  writer_->writeMessageEnd();
  connection->AppendFrame(writer_->buffer()->output(), writer_->buffer()->output_size());
  DiscardAnswer();
}

void ServerCore::Release(const CallRecord& call) {
  --calls_;
  call.connection->RemoveCall(call.bytes);
  FinishStopIfIdle();
}

}  // namespace internal
}  // namespace concordat::rpc
