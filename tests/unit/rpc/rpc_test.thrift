// What the tests of the RPC runtime talk. Arguments are `required`, as in the real
// IDL: a field of the wrong type is then an error, and not a silent default.
namespace cpp concordat.rpc.testing

struct EchoRequest {
  1: required i64 id,
  2: binary payload,
  3: i32 delay_ms,
  4: list<string> words,
}

struct EchoReply {
  1: required i64 id,
  2: binary payload,
}

struct Tree {
  1: list<Tree> children,
  2: map<string, i64> numbers,
  3: set<i32> marks,
  4: bool flag,
  5: double weight,
}

exception Refused {
  1: string why,
}

service EchoBase {
  void ping(),
}

service EchoService extends EchoBase {
  EchoReply echo(1: required EchoRequest request) throws (1: Refused refused),
  list<EchoReply> echoBatch(1: required list<EchoRequest> requests),
  i64 countTree(1: required Tree tree),
  i64 add(1: required i64 a, 2: required i64 b),
  oneway void note(1: required EchoRequest request),
}

struct Result {
  1: required i32 code,
  2: string message,
}

struct ResultReply {
  1: required Result result,
  2: list<string> words,
}

service ResultService {
  ResultReply fetch(1: required i32 size),
}
