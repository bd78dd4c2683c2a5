# SPDX-License-Identifier: GPL-2.0-only
#
# blkqcow2: QCOW2 images as block devices. "make help" lists the targets.

KDIR	?= /lib/modules/$(shell uname -r)/build
DESTDIR	?=
PREFIX	?= /usr/local

VM	:= selftests/vm

all: module ctl ## the module for KDIR, and qcow2ctl

module: ## blkqcow2/blkqcow2.ko
	@test -e $(KDIR)/Makefile || { \
	echo "No kernel build tree in $(KDIR)." >&2; \
	echo "Install the headers of the running kernel, or say KDIR=... ;" >&2; \
	echo "for the kernel of the tests: make KDIR=\$$(selftests/vm/kernel)/build" >&2; \
	exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR)/blkqcow2 modules

ctl: ## ctl/qcow2ctl
	$(MAKE) -C ctl

install: all ## module, qcow2ctl, ioctl header, udev, systemd (DESTDIR, PREFIX)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/blkqcow2 modules_install \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR))
	$(MAKE) -C ctl install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	install -D -m 644 uapi/linux/blkqcow2.h \
		$(DESTDIR)$(PREFIX)/include/linux/blkqcow2.h

clean: ## what make has built, not what the tests keep in ~/.cache/blkqcow2
	if test -e $(KDIR)/Makefile; then \
		$(MAKE) -C $(KDIR) M=$(CURDIR)/blkqcow2 clean; fi
	$(MAKE) -C ctl clean
	$(MAKE) -C selftests clean

deps: ## install what building and testing needs (Debian 12, root)
	$(VM)/deps

demo: deps ## see it work, in a virtual machine (under 5 minutes)
	selftests/demo

check: deps ## all tests that a change must pass
	selftests/check

check-static: deps ## W=1, sparse, checkpatch --strict, shellcheck
	selftests/check static

check-kunit: deps ## KUnit suites, under User Mode Linux
	selftests/check kunit

check-ctl: deps ## tests of qcow2ctl that need no kernel
	selftests/check ctl

check-vm: deps ## the selftests in a virtual machine
	selftests/check vm

check-debug: deps ## the selftests on a kernel with KASAN and lockdep (long)
	selftests/check debug

check-format: deps ## hundreds of kinds of images, and windows with them (long)
	selftests/check format

check-power: deps ## a few power cuts, and whether faults are found
	selftests/check power

check-crash: deps ## power cuts at hundreds of moments, 13 kinds of images (long)
	selftests/check crash

check-memory: deps ## dirty pages and swap with very little memory (long)
	selftests/check memory

check-boot: deps ## boots with images in fstab, shutdowns with open windows (5 min)
	selftests/check boot

check-stress: deps ## windows, detaches and kills at random times (very long)
	selftests/check stress

check-hostile: deps ## 10000 images tampered with, with KASAN and lockdep (long)
	selftests/check hostile

bench-window: deps ## how long windows take, beside qemu-nbd (5 minutes)
	$(VM)/run --disk 8G --mem 4G --timeout 3000 --env TEST_TIMEOUT=2900 -- \
		selftests/run_tests -v selftests/bench_window.sh

fuzz: deps ## the decoders under libFuzzer, for FUZZ_SECONDS (default 60)
	selftests/fuzz/run

check-harness: deps ## does the virtual machine tell failures apart?
	selftests/check harness

check-bench: deps ## a small selection of the benchmark: does it work?
	selftests/check bench

bench: deps ## measure blkqcow2 beside loop, qemu-nbd, ... (about an hour)
	selftests/bench/run --icount --wall

shell: deps ## a shell in a virtual machine with the module loaded
	$(VM)/run --disk 8G --interactive

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	while IFS='	' read -r target text; do \
		printf '  make %-16s %s\n' "$$target" "$$text"; done

.PHONY: all module ctl install clean deps demo check check-static check-kunit \
	check-ctl check-vm check-debug check-format check-power check-crash \
	check-memory check-boot check-stress check-hostile fuzz bench-window check-harness \
	check-bench bench shell help
