"""What may include what. The layers are those of docs/architecture.md.

A folder's rule is that of the longest key it lies under. It may always include
itself.
"""

# Names in the rules: a folder of the repository, or GENERATED for the C++ that the
# Thrift compiler makes of the IDL.
GENERATED = "generated"

_BASE = "coordinator/base"
_SDK = "participant/sdk"
_CORE = "participant/sdk/core"
_CLIENT = "coordinator/client"
_RPC = "thrift/rpc"
_WIRE = "thrift/wire"
_RESOURCES = "participant/resources"
# The SDK's interface hands the wire's operations and results through.
_RESOURCE_MANAGER = [_BASE, _SDK, _CORE]
_DATABASE = [_BASE, f"{_RESOURCES}/database", _RPC, GENERATED]

# Nothing is allowed here that no file makes use of: a rule that is no longer needed is
# reported, so that the picture in docs/architecture.md shows the code as it is.
ALLOWED = {
    _BASE: [],
    "wal": [_BASE],
    _RPC: [_BASE],
    _WIRE: [_BASE, GENERATED],
    "coordinator/raft": [_BASE],
    # Of group only the interface: the rest reaches what no pure folder may.
    "coordinator/txn": [_BASE, "coordinator/group"],
    "coordinator/registry": [_BASE, "coordinator/group"],
    # A replica of any state machine: none of the machines.
    "coordinator/group": [_BASE, "coordinator/raft", "coordinator/storage", "wal"],
    "coordinator/storage": [_BASE, "wal", "coordinator/raft"],
    "coordinator/rpc": [_BASE, "coordinator/raft", "coordinator/registry",
                        "coordinator/txn", _RPC, _WIRE, GENERATED],
    # What the node, the simulator and operators' commands know of all machines.
    "coordinator/machines": [_BASE, "coordinator/group", "coordinator/registry",
                             "coordinator/txn"],
    "coordinator/node": [_BASE, "coordinator/raft", "coordinator/group",
                         "coordinator/machines", "coordinator/registry",
                         "coordinator/txn", "coordinator/storage", "coordinator/rpc", _RPC,
                         "wal"],
    _CLIENT: [_BASE, _RPC, _WIRE, GENERATED],
    # Apart from the client, which needs no database's library.
    "coordinator/client/postgresql": [_BASE, _CLIENT],
    "coordinator/embedded": [_BASE, "coordinator/txn", "coordinator/rpc",
                             "coordinator/node", _CLIENT, _SDK, _RPC, GENERATED],
    "coordinator/daemon": [_BASE, "coordinator/storage", "coordinator/rpc",
                           "coordinator/node", _RPC, GENERATED],
    "coordinator/cli": [_BASE, _CLIENT, "coordinator/machines", "coordinator/storage",
                        "wal", _RPC, _WIRE, GENERATED],
    _SDK: [_BASE, _CORE, _RPC, _WIRE, GENERATED],
    _CORE: [_BASE],
    "participant/store": [_BASE],
    f"{_RESOURCES}/kv": _RESOURCE_MANAGER + ["participant/store", "wal", GENERATED],
    f"{_RESOURCES}/sqlite": [_BASE, _SDK],
    # Connections to database servers live on an event loop.
    f"{_RESOURCES}/database": _RESOURCE_MANAGER + [_RPC, GENERATED],
    f"{_RESOURCES}/postgresql": _DATABASE,
    f"{_RESOURCES}/mariadb": _DATABASE,
    # It serves itself.
    f"{_RESOURCES}/service": _RESOURCE_MANAGER + ["participant/store", "wal", _RPC],
    f"{_RESOURCES}/xa": _RESOURCE_MANAGER + ["participant/store", "wal"],
    "participant/daemon": [_BASE, _SDK, f"{_RESOURCES}/kv", f"{_RESOURCES}/mariadb",
                           f"{_RESOURCES}/postgresql", f"{_RESOURCES}/sqlite",
                           f"{_RESOURCES}/xa", _RPC],
    "examples/own-resource": [_BASE, _CLIENT, f"{_RESOURCES}/service"],
    "examples/processes": [_BASE, _CLIENT, _WIRE],
    "examples/tickets": [_BASE, _CLIENT, "examples/processes"],
    "examples/transfer": [_BASE, _CLIENT, "coordinator/embedded", "participant/daemon",
                          "examples/processes", "examples/transfer/input"],
    "examples/transfer/input": [_BASE],
    "tests": ["coordinator", "participant", "wal", "thrift", "examples", GENERATED],
}

# State machines that see nothing but what is handed to them.
PURE = ["coordinator/raft", "coordinator/registry", "coordinator/txn",
        "participant/sdk/core"]

# No pure folder may reach these, directly or through other headers of ours. An entry
# that ends in "/" is a folder.
IMPURE_HEADERS = {
    "clock": ["chrono", "ctime", "time.h", "sys/time.h", "absl/time/",
              "coordinator/base/system_clock.h"],
    "randomness": ["random", "absl/random/", "sys/random.h"],
    "threads": ["thread", "mutex", "shared_mutex", "atomic", "stdatomic.h",
                "condition_variable", "future", "semaphore", "latch", "barrier",
                "stop_token", "pthread.h", "absl/synchronization/",
                "coordinator/base/mutex.h"],
    "Thrift": ["thrift/", "concordat_wire/"],
    "Boost": ["boost/"],
    "logging": ["coordinator/base/log.h", "absl/log/"],
    "I/O": ["fstream", "iostream", "istream", "syncstream", "cstdio", "stdio.h",
            "filesystem", "experimental/filesystem", "unistd.h", "fcntl.h", "poll.h",
            "signal.h", "csignal", "netdb.h", "sys/", "arpa/", "netinet/", "wal/",
            "coordinator/base/file_env.h", "coordinator/base/fault_env.h",
            "event2/", "event.h", "sqlite3.h", "sqlite3ext.h", "openssl/"],
}
# May include a header above for others: Random is seeded from outside.
PURE_BY_CONTRACT = {"coordinator/base/random.h": ["random"]}

# Headers that come in by way of others must not be used either.
IMPURE_NAMES = {
    "clock": r"std::chrono|SystemClock|\b(clock_gettime|gettimeofday)\s*\("
             r"|\btime\s*\(\s*(nullptr|NULL|0|&)",
    "randomness": r"\brandom_device\b|\bmt19937|\bs?rand\s*\(|SystemRandom64"
                  r"|std::default_random_engine",
    "threads": r"std::(jthread|thread|mutex|atomic|condition_variable|async|future)\b"
               r"|\bMutexLock\b|\bthread_local\b",
    "logging": r"\bLogEvent\b",
    "I/O": r"std::(cout|cerr|clog|cin|[io]?fstream|filesystem)\b"
           r"|(?<![\w.>:])(f?printf|fopen|getenv|puts)\s*\(",
}

# Not wanted anywhere, and why.
BANNED_HEADERS = {
    "absl/synchronization/": "false races under ThreadSanitizer; use "
                             "coordinator/base/mutex.h",
    "absl/log/": "not in the distribution's Abseil; use coordinator/base/log.h",
    "bits/": "a private header of the library",
}

TOP_LEVEL = {"CMakeLists.txt", "README.md", "coordinator", "participant", "thrift",
             "wal", "tests", "examples", "docs"}
# Build folders that .gitignore names.
TOP_LEVEL_IGNORED = r"^(build.*|compile_commands\.json)$"

MAX_LINES = 600
COUNTED_SUFFIXES = {".h", ".cc", ".cpp", ".hpp", ".py", ".js", ".sh", ".thrift",
                    ".cmake", ".txt"}

# Folders with more than one library, and how many.
LIBRARIES = {
    # Logging and files are kept from the pure cores, files that fail from the daemons.
    "coordinator/base": 4,
    "coordinator/client": 2,  # what answers mean, for the simulator too, without Thrift
    "coordinator/raft": 2,  # the invariants look at the core from outside
}
ONE_LIBRARY_UNDER = ["coordinator", "participant", "wal"]
