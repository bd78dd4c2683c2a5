# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the commands in this directory share: where things are kept, how
# they speak, and how two of them running at once stay apart.

vm_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# The checkout this copy of the harness belongs to.
# shellcheck disable=SC2034
top_dir=${vm_dir%/selftests/vm}
cache_dir=${BLKQCOW2_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/blkqcow2}

# Progress and errors go to stderr: stdout belongs to the result.
say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die STATUS MESSAGE
die()
{
	local status=$1

	shift
	say "$@"
	exit "$status"
}

# lock NAME: take NAME's lock and hold it until unlock or exit. The lock is
# on an open file, so that a killed script never leaves it behind.
lock()
{
	mkdir -p "$cache_dir/locks"
	exec {lock_fd}>"$cache_dir/locks/$1"
	if ! flock --nonblock "$lock_fd"; then
		say "waiting for another run that makes $1"
		flock "$lock_fd"
	fi
}

unlock()
{
	exec {lock_fd}>&-
}

# quietly LOG COMMAND...: run COMMAND, keep its words in LOG, and show their
# end only if it fails.
quietly()
{
	local log=$1

	shift
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		say "failed: $* (all of it: $log)"
		return 1
	fi
}

# The name under which something that depends on all of stdin is cached.
hash_of()
{
	sha256sum | cut -c1-12
}
