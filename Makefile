# SPDX-License-Identifier: GPL-2.0-only
#
# blkqcow2: QCOW2 images as block devices. "make help" lists the targets.

KDIR	?= /lib/modules/$(shell uname -r)/build
DESTDIR	?=
prefix	?= /usr/local
PREFIX	?= $(prefix)

VERSION	= $(shell sed -n '1s/.*(\([^)-]*\).*/\1/p' packaging/debian/changelog)
DKMS_DIR = /usr/src/blkqcow2-$(VERSION)
DKMS	?= dkms
DEB_DIR	?= ../blkqcow2-deb

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

man: ## the manual pages, in Documentation/man
	$(MAKE) -C Documentation/man

install: all install-ctl ## module, qcow2ctl and what belongs to it, header (DESTDIR, PREFIX)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/blkqcow2 modules_install \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR))
	$(if $(DESTDIR),,$(if $(INSTALL_MOD_PATH),, \
		depmod "$$(modinfo -F vermagic blkqcow2/blkqcow2.ko | cut -d' ' -f1)"))
	install -D -m 644 uapi/linux/blkqcow2.h \
		$(DESTDIR)$(PREFIX)/include/linux/blkqcow2.h

install-ctl: ctl ## qcow2ctl alone (DESTDIR, PREFIX)
	$(MAKE) -C ctl install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)

dkms-install: dkms-source ## the module by DKMS, for KERNEL (the running one)
	sed 's/#MODULE_VERSION#/$(VERSION)/' packaging/dkms.conf \
		>$(DESTDIR)$(DKMS_DIR)/dkms.conf
	$(if $(DESTDIR),,for step in build install; do \
		$(DKMS) $$step --force -m blkqcow2 -v $(VERSION) \
			$(if $(KERNEL),-k $(KERNEL)) || exit 1; done)

dkms-uninstall: ## for all kernels, and its source
	-$(DKMS) remove -m blkqcow2 -v $(VERSION) --all
	rm -rf $(DKMS_DIR)

# Of the project, as the packages and dkms.conf have it.
version:
	@echo $(VERSION)

# What the module is built of, where DKMS looks for it.
dkms-source:
	rm -rf $(DESTDIR)$(DKMS_DIR)
	for file in $(sort $(wildcard $(addprefix blkqcow2/,*.[ch] Kbuild Makefile \
		tests/*.c compat/Kbuild.compat compat/probes/*.c \
		compat/include/linux/*.h)) uapi/linux/blkqcow2.h); do \
		install -D -m 644 $$file $(DESTDIR)$(DKMS_DIR)/$$file || exit 1; \
	done

deb: ## Debian packages, in DEB_DIR (debhelper, dh-dkms)
	packaging/mkdeb $(DEB_DIR)

intree: ## the driver into the kernel source KDIR, as it would be there
	packaging/intree $(KDIR)

clean: ## what make has built, not what the tests keep in ~/.cache/blkqcow2
	if test -e $(KDIR)/Makefile; then \
		$(MAKE) -C $(KDIR) M=$(CURDIR)/blkqcow2 clean; fi
	$(MAKE) -C ctl clean
	$(MAKE) -C Documentation/man clean
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

check-kernels: deps ## Debian's kernels 6.1, 6.12, 7.x with their own systems (very long)
	selftests/check all_kernels

check-boot: deps ## boots with images in fstab, shutdowns with open windows (10 min)
	selftests/check boot

check-stress: deps ## windows, detaches and kills at random times (very long)
	selftests/check stress

check-hostile: deps ## 10000 images tampered with, with KASAN and lockdep (long)
	selftests/check hostile

bench-window: deps ## how long windows take, beside qemu-nbd (5 minutes)
	$(VM)/run --disk 8G --mem 4G --timeout 3000 --env TEST_TIMEOUT=2900 -- \
		selftests/run_tests -v selftests/bench_window.sh

check-package: deps ## packages built, installed, upgraded, removed, used (long)
	selftests/check package

check-intree: deps ## what make intree does, in Debian's newest kernel source (long)
	selftests/check intree

fuzz: deps ## the decoders under libFuzzer, for FUZZ_SECONDS (default 60)
	selftests/fuzz/run

check-harness: deps ## does the virtual machine tell failures apart?
	selftests/check harness

check-bench: deps ## a small selection of the benchmark: does it work?
	selftests/check bench

bench: deps ## measure blkqcow2 beside loop, qemu-nbd, ... (about an hour)
	selftests/bench/run --icount --wall

bench-scale: deps ## count flushes, allocations, locks; cost against size (long)
	selftests/bench/scale

shell: deps ## a shell in a virtual machine with the module loaded
	$(VM)/run --disk 8G --interactive

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	while IFS='	' read -r target text; do \
		printf '  make %-16s %s\n' "$$target" "$$text"; done

.PHONY: all module ctl man install install-ctl dkms-install dkms-uninstall \
	dkms-source version deb intree clean deps demo check check-static \
	check-intree check-package check-kunit \
	check-ctl check-vm check-debug check-format check-power check-crash \
	check-memory check-kernels check-boot check-stress check-hostile fuzz bench-window check-harness \
	check-bench bench bench-scale shell help
