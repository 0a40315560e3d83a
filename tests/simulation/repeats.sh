#!/usr/bin/env bash
# Two processes that run the same seeds must see the same events. Within one process a
# hash table's order is the same each time, so that would prove less.
set -euo pipefail
simulate=$1
digest() { "$simulate" --seeds 30 --jobs "$1" --quiet --fingerprint | grep '^fingerprint '; }
one=$(digest 1)
other=$(digest 2)
echo "$one, $other"
[ "$one" = "$other" ]
