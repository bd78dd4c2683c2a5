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

# debian_sources SUITE [OPTIONS]: lines of sources.list, that of backports with the
# suite that they are for.
debian_sources()
{
	local suite=${1%-backports} mirror=http://deb.debian.org deb="deb${2:+ $2}"

	echo "$deb $mirror/debian $suite main"
	[ "$suite" = sid ] || {
		echo "$deb $mirror/debian $suite-updates main"
		echo "$deb $mirror/debian-security $suite-security main"
	}
	[ "$1" = "$suite" ] || echo "$deb $mirror/debian $1 main"
}

# in_root ROOT DIR COMMAND...: run COMMAND in ROOT, a Debian system, where DIR is
# what it is here.
in_root()
{
	[ -d "$1/usr" ] || return
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child bash -c '
		root=$1 dir=$2
		shift 2
		mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
		mount -t tmpfs tmpfs "$root/tmp" && mkdir -p "$root$dir" && mount --bind "$dir" "$root$dir" &&
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' - "$@" </dev/null
}

# make_for KERNEL ARGUMENT...: kbuild of that kernel, in the root of its suite if
# it has one, with that one's compiler.
make_for()
{
	local kernel=$1

	shift
	if [ -e "$kernel/root" ]; then
		in_root "$(realpath "$kernel/root")" "$cache_dir" \
			make -C "/lib/modules/$(<"$kernel/release")/build" "$@"
	else
		make -C "$kernel/build" "$@"
	fi
}

# The name under which something that depends on all of stdin is cached.
hash_of()
{
	sha256sum | cut -c1-12
}

# sync_source FROM TO: by content, so that an older file that comes back is
# new to make all the same; what a build left on either side is kept out.
# Prints what changed.
sync_source()
{
	mkdir -p "$2"
	rsync -rlpci --delete \
		--exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' \
		--exclude='.*.cmd' --exclude='.*.d' --exclude='.tmp*' --exclude='*.order' \
		--exclude='*.symvers' --exclude='compat/generated' \
		"$1/" "$2/"
}

# build_copy KERNEL MODULE_DIR [MAKE_ARGUMENT...]: build the modules in
# MODULE_DIR, or rather in a copy of it ($copy): builds for several kernels
# must not meet. Leaves the copy locked.
build_copy()
{
	local name build changes

	if [ ! -e "$2/Kbuild" ] && [ ! -e "$2/Makefile" ]; then
		say "$2 has no Kbuild: nothing to build"
		return 1
	fi
	name=$(<"$1/release")-$(echo "$@" | hash_of)
	lock "build-$name"
	build=$cache_dir/build/$name
	copy=$build/${2##*/}
	changes=$(sync_source "$2" "$copy")
	[ ! -d "$2/../uapi" ] || changes+=$(sync_source "$2/../uapi" "$build/uapi")
	# kbuild takes a second to find out that there is nothing to do.
	[ -n "$changes" ] || [ ! -e "$build/built" ] || return 0
	rm -f "$build/built"
	quietly "$build/log" make_for "$1" -j"$(nproc)" "M=$copy" "${@:3}" modules ||
		return 1
	# With the lines of source that the compiler quotes.
	awk 'tolower($0) ~ /warning:/ { print; quote = 1; next }
	     quote && /^ +[0-9]* \|/ { print; next }
	     { quote = 0 }' "$build/log" >&2
	: >"$build/built"
}

# build_checkout ROOT: build what runs in a guest with that root, in a copy of the
# checkout ($checkout), as builds of two systems must not meet. They are kept, as
# git knows nothing of them. Leaves the copy locked.
build_checkout()
{
	local name dir

	name=${1##*/}-$(hash_of <<<"$top_dir")
	checkout=$cache_dir/build/$name
	lock "build-$name"
	mkdir -p "$checkout"
	rsync -rlpc --delete --exclude=/.git --filter=':- .gitignore' \
		"$top_dir/" "$checkout/" || return
	for dir in ctl selftests; do
		quietly "$cache_dir/build/log-$name" in_root "$1" "$cache_dir" \
			make -s -C "$checkout/$dir" || return
	done
}

# The modules in the copy just built, in the order to load them.
built_modules()
{
	local ko

	while IFS= read -r ko; do
		# Old kernels' kbuild lists objects, new ones' paths below M.
		ko=${ko%.o}
		ko=${ko%.ko}.ko
		printf '%s\n' "$copy/${ko#"$copy/"}"
	done <"$copy/modules.order"
}

# Reports begin a line of the kernel's log. Anchored there, since anybody may
# mention such words in the middle of one.
readonly log_stamp='^(<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? '
splat_words='-+\[ cut here \]-+'
splat_words+='|(\[ )?(WARNING|BUG)[: ]'
splat_words+='|kernel BUG at |Oops[: ]|general protection fault|[a-z -]+: [0-9a-f]{4} \[#[0-9]+\]'
splat_words+='|(traps: )?PANIC: '
splat_words+='|UBSAN: |refcount_t: |list_(add|del) corruption'
splat_words+='|watchdog: BUG: |(rcu: )?INFO: (task |rcu_|possible |trying to register)'
splat_words+='|VFS: Busy inodes after unmount'
# shellcheck disable=SC2034
readonly splat="$log_stamp($splat_words)"

# QEMU 7.2, Debian 12's, now and then gives a guest's kernel a wrong flags
# register, upon which it dies of a debug or double fault; trixie's does not. The
# command goes into $qemu.
# shellcheck disable=SC2034
find_qemu()
{
	local root lib

	if ! root=$("$vm_dir/root" trixie qemu-system-x86); then
		say "going on with the QEMU that is installed"
		qemu=(qemu-system-x86_64)
		return
	fi
	lib=$root/usr/lib/x86_64-linux-gnu
	qemu=(
		"$lib/ld-linux-x86-64.so.2" --library-path "$lib"
		"$root/usr/bin/qemu-system-x86_64"
		-L "$root/usr/share/qemu" -L "$root/usr/share/seabios"
	)
}
