/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * blkqcow2: QCOW2 images as block devices, control interface
 *
 * All ioctls are issued on /dev/qcow2-control and need CAP_SYS_ADMIN in the
 * initial user namespace. Every argument starts with &struct qcow2_ctl_head:
 * its size makes the structs extensible in both directions. A kernel that
 * is handed a larger struct than it knows accepts it if the excess is zero
 * and fails with E2BIG otherwise; a smaller one is read as if zero-filled, but
 * not one smaller than QCOW2_CTL_*_SIZE_VER0, which fails with EINVAL.
 */
#ifndef _UAPI_LINUX_BLKQCOW2_H
#define _UAPI_LINUX_BLKQCOW2_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define QCOW2_CONTROL_NAME	"qcow2-control"

/* Layers in one image (chain), the active one included. */
#define QCOW2_MAX_LAYERS	256

/* Longest path that QCOW2_CTL_INFO reports, with its NUL. */
#define QCOW2_PATH_MAX		4096

/**
 * struct qcow2_ctl_head - start of every argument
 * @size: size of the whole argument struct in bytes, set by the caller
 * @flags: QCOW2_*_F_* of the command; unknown bits fail with EINVAL
 * @err_buf: user address of a buffer for a message, or 0
 * @err_len: size of that buffer in bytes
 * @reserved: must be 0
 *
 * On failure the kernel writes a NUL-terminated sentence into the buffer
 * that says what is wrong with which file. On success the buffer holds an
 * empty string.
 */
struct qcow2_ctl_head {
	__u32 size;
	__u32 flags;
	__u64 err_buf;
	__u32 err_len;
	__u32 reserved;
};

/**
 * enum qcow2_layer_format - format of a layer; the kernel never probes
 * @QCOW2_FORMAT_QCOW2: version 2 or 3
 * @QCOW2_FORMAT_RAW: a file or block device that has the content itself; not
 *	the active layer
 */
enum qcow2_layer_format {
	QCOW2_FORMAT_QCOW2	= 1,
	QCOW2_FORMAT_RAW	= 2,
};

/**
 * struct qcow2_ctl_layer - one file of the chain
 * @fd: the open file. Layer 0 is open for reading, and for writing unless
 *	the device is attached read-only; all others for reading. With O_DIRECT,
 *	or what is in it is read and written through the page cache
 * @format: &enum qcow2_layer_format
 * @data_fd: the external data file that the layer's header asks for, open as
 *	@fd is; -1 if it asks for none
 * @reserved: must be 0
 */
struct qcow2_ctl_layer {
	__s32 fd;
	__u32 format;
	__s32 data_fd;
	__u32 reserved;
};

/**
 * DOC: Flags of QCOW2_CTL_ATTACH
 *
 * ``QCOW2_ATTACH_F_READONLY``
 *	The device is read-only, and so is its layer 0.
 * ``QCOW2_ATTACH_F_PARK``
 *	I/O for which there is no space where the image lies waits, instead of
 *	failing with ENOSPC: until QCOW2_CTL_RESUME, or QCOW2_CTL_THAW, tries it
 *	again.
 */
#define QCOW2_ATTACH_F_READONLY	(1U << 0)
#define QCOW2_ATTACH_F_PARK	(1U << 1)

/**
 * struct qcow2_ctl_attach - QCOW2_CTL_ATTACH: make a device of a chain
 * @head: see &struct qcow2_ctl_head; flags are QCOW2_ATTACH_F_*
 * @index: in: wanted N of /dev/qcow2N, or -1 for the first free one;
 *	out: the N that was given
 * @nr_layers: number of elements behind @layers, at least 1
 * @layers: user address of an array of &struct qcow2_ctl_layer, the active
 *	layer first, the base last. Backing files must be complete: the
 *	array ends where the chain ends
 * @cache_bytes: bound for the metadata cache of the device in bytes, 0 for
 *	the default
 */
struct qcow2_ctl_attach {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 nr_layers;
	__u64 layers;
	__u64 cache_bytes;
};

/**
 * DOC: Flags of QCOW2_CTL_DETACH
 *
 * ``QCOW2_DETACH_F_DEFERRED``
 *	Detach when the last opener closes, if the device is in use.
 * ``QCOW2_DETACH_F_FORCE``
 *	Detach at once; I/O that waits or arrives later fails.
 */
#define QCOW2_DETACH_F_DEFERRED	(1U << 0)
#define QCOW2_DETACH_F_FORCE	(1U << 1)

/**
 * struct qcow2_ctl_detach - QCOW2_CTL_DETACH: remove a device
 * @head: see &struct qcow2_ctl_head; flags are QCOW2_DETACH_F_*
 * @index: N of /dev/qcow2N
 * @reserved: must be 0
 *
 * Without flags a device that is open fails with EBUSY.
 */
struct qcow2_ctl_detach {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 reserved;
};

/**
 * DOC: Flags of QCOW2_CTL_FREEZE
 *
 * ``QCOW2_FREEZE_F_NO_FS``
 *	Do not freeze the file systems on the disk and its partitions.
 * ``QCOW2_FREEZE_F_FAIL``
 *	When the time is over, let all I/O fail that waits, instead of thawing.
 */
#define QCOW2_FREEZE_F_NO_FS	(1U << 0)
#define QCOW2_FREEZE_F_FAIL	(1U << 1)

/* File systems that one freeze takes from its caller. */
#define QCOW2_MAX_MOUNTS	256

/**
 * struct qcow2_ctl_freeze - QCOW2_CTL_FREEZE: open a window
 * @head: see &struct qcow2_ctl_head; flags are QCOW2_FREEZE_F_*
 * @index: N of /dev/qcow2N
 * @timeout_ms: milliseconds after which the kernel ends the window by itself, 0
 *	for never. It thaws with the files that the device has, as soon as nobody
 *	has them locked, if they name the backing files that they named before;
 *	or, with QCOW2_FREEZE_F_FAIL, the device fails
 * @window: out: names this window, for &struct qcow2_ctl_thaw; never 0
 * @mounts: user address of an array of file descriptors (__s32), one on each file
 *	system that uses the disk without its block device knowing of it (btrfs on
 *	older kernels): these are frozen, too. Unless QCOW2_FREEZE_F_NO_FS, those
 *	that it knows are found by the kernel
 * @nr_mounts: number of elements behind @mounts, at most QCOW2_MAX_MOUNTS
 * @reserved: must be 0
 *
 * When it returns 0 the image on disk is complete and clean, nothing of it
 * is cached, and its locks are released. I/O to the device waits.
 * EBUSY if the device is frozen already.
 */
struct qcow2_ctl_freeze {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 timeout_ms;
	__u64 window;
	__u64 mounts;
	__u32 nr_mounts;
	__u32 reserved;
};

/**
 * DOC: Flags of QCOW2_CTL_THAW
 *
 * ``QCOW2_THAW_F_IMAGE``
 *	Another file may take the place of the active layer's.
 * ``QCOW2_THAW_F_SHRINK``
 *	The disk may become smaller under somebody who uses what is cut off.
 */
#define QCOW2_THAW_F_IMAGE	(1U << 0)
#define QCOW2_THAW_F_SHRINK	(1U << 1)

/**
 * struct qcow2_ctl_thaw - QCOW2_CTL_THAW: close a window
 * @head: see &struct qcow2_ctl_head; flags are QCOW2_THAW_F_*
 * @index: N of /dev/qcow2N
 * @nr_layers: 0 to read the files again that the device has, otherwise the
 *	number of elements behind @layers
 * @layers: as in &struct qcow2_ctl_attach: the chain to go on with
 * @window: the window that is to be closed, or 0 for any
 *
 * On failure the device stays frozen, with the chain it had. EINVAL if the
 * device is not frozen, ECANCELED if @window is not open (any more), ESTALE if
 * the active layer is another file and QCOW2_THAW_F_IMAGE is not given; EFBIG
 * if what would be cut off is in use; EAGAIN if somebody has locked a file.
 */
struct qcow2_ctl_thaw {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 nr_layers;
	__u64 layers;
	__u64 window;
};

/**
 * struct qcow2_ctl_resume - QCOW2_CTL_RESUME: try I/O again that waits for space
 * @head: see &struct qcow2_ctl_head; no flags yet
 * @index: N of /dev/qcow2N
 * @reserved: must be 0
 *
 * I/O for which there is still no space waits on. EINVAL if the device is frozen
 * or has failed.
 */
struct qcow2_ctl_resume {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 reserved;
};

/**
 * enum qcow2_state - what a device is doing
 * @QCOW2_STATE_LIVE: it serves I/O
 * @QCOW2_STATE_FREEZING: a window is about to open
 * @QCOW2_STATE_FROZEN: a window is open: I/O waits, the image is anybody's
 * @QCOW2_STATE_THAWING: a window is about to be closed
 * @QCOW2_STATE_FAILED: only reads are served, or nothing
 * @QCOW2_STATE_DETACHING: it is about to go
 */
enum qcow2_state {
	QCOW2_STATE_LIVE	= 1,
	QCOW2_STATE_FREEZING	= 2,
	QCOW2_STATE_FROZEN	= 3,
	QCOW2_STATE_THAWING	= 4,
	QCOW2_STATE_FAILED	= 5,
	QCOW2_STATE_DETACHING	= 6,
};

/**
 * DOC: Flags of QCOW2_CTL_INFO
 *
 * ``QCOW2_INFO_F_NEXT``
 *	Report the first device whose number is @index or greater.
 * ``QCOW2_INFO_F_DATA_PATH``
 *	Report the path of the layer's external data file, "" if it has none.
 * ``QCOW2_INFO_F_REASON``
 *	Report in words why the device failed, or was not thawed, instead of a
 *	path.
 *
 * What it reports in @dev_flags:
 *
 * ``QCOW2_DEV_F_READONLY``
 *	The device is read-only.
 * ``QCOW2_DEV_F_DEFERRED``
 *	Detaches when the last opener closes.
 * ``QCOW2_DEV_F_BUFFERED``
 *	At least one layer's file takes no direct I/O, or was opened without
 *	O_DIRECT.
 * ``QCOW2_DEV_F_PARK``
 *	Was attached with QCOW2_ATTACH_F_PARK.
 * ``QCOW2_DEV_F_NOSPACE``
 *	I/O waits for space.
 * ``QCOW2_DEV_F_FS_FROZEN``
 *	The window was opened without QCOW2_FREEZE_F_NO_FS.
 * ``QCOW2_DEV_F_EXPIRED``
 *	Failed in a window: nothing is served, but a thaw may mend it.
 */
#define QCOW2_INFO_F_NEXT	(1U << 0)
#define QCOW2_INFO_F_DATA_PATH	(1U << 1)
#define QCOW2_INFO_F_REASON	(1U << 2)

#define QCOW2_DEV_F_READONLY	(1U << 0)
#define QCOW2_DEV_F_DEFERRED	(1U << 1)
#define QCOW2_DEV_F_BUFFERED	(1U << 2)
#define QCOW2_DEV_F_PARK	(1U << 3)
#define QCOW2_DEV_F_NOSPACE	(1U << 4)
#define QCOW2_DEV_F_FS_FROZEN	(1U << 5)
#define QCOW2_DEV_F_EXPIRED	(1U << 6)

/**
 * struct qcow2_ctl_info - QCOW2_CTL_INFO: what a device is and does
 * @head: see &struct qcow2_ctl_head; flags are QCOW2_INFO_F_*
 * @index: in: N of /dev/qcow2N; out: the one reported
 * @state: out: &enum qcow2_state
 * @dev_flags: out: QCOW2_DEV_F_*
 * @nr_layers: out: layers in the chain
 * @layer: in: the layer to describe in the layer_* fields and @path
 * @layer_format: out: &enum qcow2_layer_format
 * @layer_version: out: QCOW2 version, 0 for raw
 * @layer_cluster_bits: out: log2 of the cluster size in bytes, 0 for raw
 * @layer_refcount_bits: out: width of a refcount in bits, 0 for raw
 * @layer_virtual_size: out: bytes
 * @layer_incompatible: out: incompatible feature bits
 * @layer_compatible: out: compatible feature bits
 * @layer_autoclear: out: autoclear feature bits
 * @path: in: user address of a buffer for the layer's path, or 0
 * @path_len: in: its size in bytes
 * @reserved: must be 0
 * @logical_block_size: out: of the disk, in bytes
 * @size_bytes: out: capacity of the disk
 * @frozen_ns: out: how long the device has been frozen, 0 if it is not
 * @cache_bytes: out: bound of the metadata cache
 * @cache_used: out: bytes in it
 * @nr_commits: out: metadata commits since attach
 * @nr_flushes: out: barriers sent to the active file since attach
 * @nr_allocated: out: clusters allocated since attach
 * @nr_freed: out: clusters whose refcount was lowered since attach
 * @nr_direct: out: requests sent from queue_rq without a worker
 * @nr_worker: out: requests that took a worker
 * @nr_inflated: out: compressed clusters that were decompressed since attach
 *
 * ENODEV if there is no such device (with QCOW2_INFO_F_NEXT: none at or
 * after @index).
 */
struct qcow2_ctl_info {
	struct qcow2_ctl_head head;
	__s32 index;
	__u32 state;
	__u32 dev_flags;
	__u32 nr_layers;
	__u32 layer;
	__u32 layer_format;
	__u32 layer_version;
	__u32 layer_cluster_bits;
	__u32 layer_refcount_bits;
	__u32 logical_block_size;
	__u64 layer_virtual_size;
	__u64 layer_incompatible;
	__u64 layer_compatible;
	__u64 layer_autoclear;
	__u64 path;
	__u32 path_len;
	__u32 reserved;
	__u64 size_bytes;
	__u64 frozen_ns;
	__u64 cache_bytes;
	__u64 cache_used;
	__u64 nr_commits;
	__u64 nr_flushes;
	__u64 nr_allocated;
	__u64 nr_freed;
	__u64 nr_direct;
	__u64 nr_worker;
	__u64 nr_inflated;
};

/* Sizes of the arguments when they were introduced: none may be smaller. */
#define QCOW2_CTL_ATTACH_SIZE_VER0	48
#define QCOW2_CTL_DETACH_SIZE_VER0	32
#define QCOW2_CTL_FREEZE_SIZE_VER0	56
#define QCOW2_CTL_THAW_SIZE_VER0	48
#define QCOW2_CTL_INFO_SIZE_VER0	200
#define QCOW2_CTL_RESUME_SIZE_VER0	32

#define QCOW2_CTL_ATTACH	_IOWR(0xB9, 0x00, struct qcow2_ctl_attach)
#define QCOW2_CTL_DETACH	_IOW(0xB9, 0x01, struct qcow2_ctl_detach)
#define QCOW2_CTL_FREEZE	_IOWR(0xB9, 0x02, struct qcow2_ctl_freeze)
#define QCOW2_CTL_THAW		_IOW(0xB9, 0x03, struct qcow2_ctl_thaw)
#define QCOW2_CTL_INFO		_IOWR(0xB9, 0x04, struct qcow2_ctl_info)
#define QCOW2_CTL_RESUME	_IOW(0xB9, 0x05, struct qcow2_ctl_resume)

#endif /* _UAPI_LINUX_BLKQCOW2_H */
