// concordat-rm init: makes a database ready to be served. It shows the SQL for what
// Concordat keeps there, and runs it with --yes.
#ifndef PARTICIPANT_DAEMON_INIT_COMMAND_H_
#define PARTICIPANT_DAEMON_INIT_COMMAND_H_

namespace concordat::participant {

// The words after "concordat-rm"; the first is "init". The exit status: 0 done, or only
// shown; 1 the database refuses; 2 it is not reached; 64 wrong usage, also for a kind of
// URL that needs nothing, has no roles, or is not known.
[[nodiscard]] int RunInitCommand(int argc, char** argv);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_INIT_COMMAND_H_
