# SPDX-License-Identifier: Apache-2.0
# Builds Cress with GNU make and a C11 compiler. `make help` lists the targets.
#
# Files are found by folder: a new .c file is built, linked and linted without an edit here.
#   common/*/*.c                          -> libcommon.a, which all programs share
#   library/*.c                           -> libcress.so and libcress.a: the C library
#   producer/*.c producer/cli/*.c         -> cress
#   producer/*.c producer/gateway/*.c     -> cress-gateway
#   worker/*.c worker/*/*.c               -> cress-worker
#   examples/{hello,quickstart}/X.c       -> examples/{hello,quickstart}/X
#   examples/library/X.c                  -> examples/library/X, and task_X.so from task_X.c
#   examples/tutorials/X.c                -> examples/tutorials/X, each with tutorial.c
#   tests/{unit/test_,bench/,fuzz/fuzz_}X.c, tests/integration/*/test_X.c -> one program each
# A program's main() lives in a file called main.c; everything else can be linked into tests.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
BUILD      ?= build
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= objcopy
CFLAGS     ?= -O2 -g
# WERROR=1: warnings are errors.  V=1: print whole commands.  SANITIZE=address,...: see `make asan`.
# TEST=word: only unit tests whose name contains it.  LINT_FILES="a.c b.c": lint only these.

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
Q := $(if $(V),,@)
VERSION := $(shell cat VERSION)

# --- Libraries -----------------------------------------------------------------------------------

# pkg-config module : Debian package. The one list of what a build needs.
PACKAGES := \
    librabbitmq:librabbitmq-dev jansson:libjansson-dev libuv:libuv1-dev \
    libcurl:libcurl4-openssl-dev hiredis:libhiredis-dev libh2o:libh2o-dev inih:libinih-dev \
    libxml-2.0:libxml2-dev openssl:libssl-dev zlib:zlib1g-dev
TEST_PACKAGES := cmocka:libcmocka-dev

MODULES        := $(foreach p,$(PACKAGES),$(firstword $(subst :, ,$p)))
COMMON_MODULES := $(filter-out libh2o libxml-2.0,$(MODULES))

pkg-libs = $(shell $(PKG_CONFIG) --libs $1 2>/dev/null)
# -isystem: the warnings below are for our code, not for other people's headers.
PKG_CFLAGS   := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(MODULES) 2>/dev/null))
FOUND        := $(shell $(PKG_CONFIG) --exists $(MODULES) 2>/dev/null && echo yes)
LIBS_COMMON  := $(call pkg-libs,$(COMMON_MODULES)) -ls3 -lpthread -lm
LIBS_GATEWAY := $(call pkg-libs,libh2o)
LIBS_WORKER  := $(call pkg-libs,libxml-2.0)
LIBS_TESTS    = $(LIBS_GATEWAY) $(LIBS_WORKER) $(call pkg-libs,cmocka)

# --- Flags: ours come first and the user's last, so that the user's win ---------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
OPTIMISED := $(filter-out -O0,$(lastword $(filter -O%,$(CFLAGS))))

ifdef SANITIZE
# gcc's flow warnings go astray in code that it has instrumented: they are no errors here.
HARDENING := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer \
    -Wno-maybe-uninitialized -Wno-unknown-warning-option
HARDENING_LD := -fsanitize=$(SANITIZE)
else
HARDENING := -fstack-protector-strong $(if $(OPTIMISED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDENING_LD := -pie -Wl,-z,relro,-z,now
endif

# One set of objects serves the programs and libcress.so: with hidden symbols, -fPIC costs what -fPIE does.
PIC := -fPIC -fvisibility=hidden

ALL_CPPFLAGS = -D_POSIX_C_SOURCE=200809L -I. -Iinclude -I$(BUILD)/gen $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 $(WARNINGS) $(if $(WERROR),$(if $(SANITIZE),,-Werror)) $(HARDENING) $(PIC) $(CFLAGS)
ALL_LDFLAGS  = $(HARDENING_LD) -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

# One file knows the version and the commit, so that a commit recompiles one file.
VERSION_FILE := common/base/version.c
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
VERSION_FLAGS := -DCRESS_VERSION='"$(VERSION)"' -DCRESS_COMMIT='"$(COMMIT)"'

# $(call compile,SOURCE): the command that compiles it, but for the output.
compile = $(CC) $(if $(filter $(VERSION_FILE),$1),$(VERSION_FLAGS)) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c $1

# --- Files ----------------------------------------------------------------------------------------

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$1)

COMMON_SRC  := $(wildcard common/*/*.c)
LIBRARY_SRC := $(wildcard library/*.c)
CLI_SRC     := $(wildcard producer/*.c producer/cli/*.c)
GATEWAY_SRC := $(wildcard producer/*.c producer/gateway/*.c)
WORKER_SRC  := $(wildcard worker/*.c worker/*/*.c)
HANDLER_SRC := $(wildcard worker/handler/*.c worker/process/*.c)
EXAMPLE_SRC := $(wildcard examples/hello/*.c examples/quickstart/*.c examples/tutorials/*.c)
# What users of the C library write: programs, and tasks for the plug-in handler.
TASK_SRC    := $(wildcard examples/library/task_*.c)
USER_SRC    := $(filter-out $(TASK_SRC),$(wildcard examples/library/*.c))
UNIT_SRC    := $(wildcard tests/unit/test_*.c)
CLIENT_SRC  := $(wildcard tests/integration/*/test_*.c)
# What integration tests share; it may use what common/ uses, and lies in a library of its own.
SUPPORT_SRC := $(filter-out $(CLIENT_SRC),$(wildcard tests/integration/*/*.c))
BENCH_SRC   := $(wildcard tests/bench/*.c)
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
STANDALONE_SRC := $(wildcard tests/fuzz/standalone.c)

PRODUCT_SRC := $(sort $(COMMON_SRC) $(LIBRARY_SRC) $(CLI_SRC) $(GATEWAY_SRC) $(WORKER_SRC))
SOURCES     := $(PRODUCT_SRC) $(EXAMPLE_SRC) $(USER_SRC) $(TASK_SRC) $(UNIT_SRC) $(CLIENT_SRC) $(SUPPORT_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(STANDALONE_SRC)
# What tests can reach of the programs: all but main(). `make unit TESTABLE_SRC=` tests common/ alone.
TESTABLE_SRC := $(filter-out %/main.c,$(filter-out $(COMMON_SRC),$(PRODUCT_SRC)))

MAINS    := cress:producer/cli cress-gateway:producer/gateway cress-worker:worker
PROGRAMS := $(foreach m,$(MAINS),$(if $(wildcard $(lastword $(subst :, ,$m))/main.c),$(BUILD)/$(firstword $(subst :, ,$m))))
EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(filter-out %/tutorial.c,$(EXAMPLE_SRC)))
USERS    := $(USER_SRC:%.c=$(BUILD)/%)
TASKS    := $(TASK_SRC:%.c=$(BUILD)/%.so)
UNIT     := $(UNIT_SRC:%.c=$(BUILD)/%)
CHOSEN   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*$(TEST)*.c))
HANDLER_TESTS := $(addprefix $(BUILD)/tests/unit/test_,builtin folder process run stream stream_protocol) $(addprefix $(BUILD)/tests/bench/,exec stream)
CLIENTS  := $(CLIENT_SRC:%.c=$(BUILD)/%)
# Each fuzz target once more, with a main() that feeds it the files of its corpus.
CORPUS   := $(if $(STANDALONE_SRC),$(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(BUILD)/tests/corpus/%))
BENCH    := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZ     := $(FUZZ_SRC:%.c=$(BUILD)/%)

# The number in the soname is the library's ABI, which the header states.
ABI     := $(shell sed -n 's/^.define CRESS_ABI //p' include/cress/cress.h)
SHARED  := $(BUILD)/libcress.so.$(ABI)
LIBRARY := $(BUILD)/libcress.so $(BUILD)/libcress.a $(BUILD)/cress.pc

# Editors look for it at the top; a build elsewhere keeps its own.
COMPILE_COMMANDS := $(if $(filter build,$(BUILD)),,$(BUILD)/)compile_commands.json

# --- Targets --------------------------------------------------------------------------------------

all: $(PROGRAMS) $(LIBRARY) $(EXAMPLES) $(USERS) $(TASKS) $(COMPILE_COMMANDS) ## build the programs, the library and the examples (the default)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | sort | expand -t 18

check: ## install what the tests need, build, run all tests
	scripts/check

demo: ## install what is missing, build, and show the main job end to end
	scripts/demo

unit: test-programs ## build and run the unit tests (TEST=word for some of them)
	$(Q)mk/run-unit $(BUILD)/unit-logs $(CHOSEN)
	$(Q)for program in $(CORPUS); do \
	    echo "== corpus of $${program##*/}"; $$program tests/fuzz/corpus/$${program##*/}/* || exit 1; \
	done

integration: all $(CLIENTS) ## run the integration tests against a private stack (TEST=word for some of them)
	CRESS_BUILD="$(abspath $(BUILD))" tests/integration/run $(TEST)

fault: all ## kill and pause the real servers under load, the long way
	CRESS_BUILD="$(abspath $(BUILD))" tests/fault/run long

bench: all $(BENCH) ## measure throughput beside the raw limit of the broker
	CRESS_BUILD="$(abspath $(BUILD))" tests/bench/run

integration-programs: $(CLIENTS)

test-programs: $(CHOSEN) $(CORPUS) $(BENCH) $(COMPILE_COMMANDS)

ASAN = $(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined
TSAN = $(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread

asan: ## run the unit tests under AddressSanitizer and UBSan
	$(ASAN) unit

asan-build: ## only build everything with those, in build/asan
	$(ASAN) all test-programs integration-programs

tsan: ## run the unit tests under ThreadSanitizer
	$(TSAN) unit

tsan-build: ## only build everything with it, in build/tsan
	$(TSAN) all test-programs integration-programs

# Fuzzing needs clang. Each target starts from tests/fuzz/corpus/<name>/ and keeps what it finds in the build folder.
FUZZ_SECONDS ?= 30
fuzz: ## fuzz each parser for FUZZ_SECONDS (30) with clang
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,address fuzz-run

fuzz-run: $(FUZZ)
	$(Q)set -e; for program in $(FUZZ); do \
	    name=$${program##*/fuzz_}; found=$(BUILD)/corpus/$$name; mkdir -p $$found; \
	    seeds=tests/fuzz/corpus/$$name; [ -d $$seeds ] || seeds=; \
	    echo "== fuzz_$$name"; \
	    $$program -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/ $$found $$seeds; \
	done

coverage: ## run the unit tests and print line coverage for each file
	$(MAKE) BUILD=$(BUILD)/coverage CFLAGS="$(CFLAGS) -O0 --coverage" coverage-run

coverage-run: unit
	$(Q)mk/coverage $(BUILD)/obj

lint: $(COMPILE_COMMANDS) $(BUILD)/gen/scripts.h $(BUILD)/gen/web.h ## check includes, layout, cppcheck and clang-tidy (LINT_FILES="a.c b.c" for some)
	$(Q)tests/lint/run $(dir $(COMPILE_COMMANDS)) $(strip $(LINT_FILES))

format: ## lay the C files out with clang-format
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

install: all $(BUILD)/cress.pc ## install under $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(UNITDIR)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(BINDIR)
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR)/cress
	install -m 644 $(SHARED) $(BUILD)/libcress.a $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/libcress.so
	install -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(INCLUDEDIR)/cress
	for unit in $(notdir $(SYSTEMD_UNITS)); do \
	    sed 's|/usr/bin/cress|$(BINDIR)/cress|' dist/systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && \
	    chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	$(foreach f,$(EXTRAS),install -D -m 644 $(call extra-source,$f) $(DESTDIR)$(call extra-target,$f)$(newline)	)

uninstall: ## remove what install put there
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(notdir $(PROGRAMS)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libcress.so $(notdir $(SHARED)) libcress.a)
	rm -rf $(DESTDIR)$(INCLUDEDIR)/cress
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(SYSTEMD_UNITS)))
	rm -f $(foreach f,$(EXTRAS),$(DESTDIR)$(call extra-target,$f))

dist: ## pack the last commit into build/cress-VERSION.tar.gz
	@mkdir -p $(BUILD)
	git archive --prefix=cress-$(VERSION)/ -o $(BUILD)/cress-$(VERSION).tar.gz HEAD
	@echo $(BUILD)/cress-$(VERSION).tar.gz

clean: ## remove what was built
	rm -rf $(BUILD) $(COMPILE_COMMANDS)

missing: ## print the Debian packages that the build and its tests lack, one a line
	@$(call missing,$(PACKAGES) $(TEST_PACKAGES)); for package in $$missing; do echo $$package; done

.PHONY: all help check demo unit integration fault bench test-programs integration-programs asan asan-build tsan tsan-build \
    fuzz fuzz-run coverage coverage-run lint format install uninstall dist clean missing FORCE

# What install copies besides programs and units, as source:target.
PUBLIC_HEADERS := $(wildcard include/cress/*.h)
SYSTEMD_UNITS := $(wildcard dist/systemd/*.service)
EXTRAS := \
    $(BUILD)/cress.pc:$(LIBDIR)/pkgconfig/cress.pc \
    $(foreach f,$(wildcard dist/man/*.3),$f:$(MANDIR)/man3/$(notdir $f)) \
    $(foreach f,$(wildcard dist/man/*.1),$f:$(MANDIR)/man1/$(notdir $f)) \
    $(foreach f,$(wildcard dist/man/*.5),$f:$(MANDIR)/man5/$(notdir $f)) \
    $(foreach f,$(wildcard dist/completion/*.bash),$f:$(PREFIX)/share/bash-completion/completions/$(basename $(notdir $f))) \
    $(foreach f,$(wildcard dist/completion/_*),$f:$(PREFIX)/share/zsh/site-functions/$(notdir $f)) \
    $(foreach f,$(wildcard dist/completion/*.fish),$f:$(PREFIX)/share/fish/vendor_completions.d/$(notdir $f))
extra-source = $(firstword $(subst :, ,$1))
extra-target = $(lastword $(subst :, ,$1))
define newline


endef

# --- What must be there before the first compilation ----------------------------------------------

# $(call missing,LIST): shell text that sets $missing to the Debian packages that the machine lacks.
define missing
missing=; \
command -v $(firstword $(CC)) >/dev/null || missing="$(if $(findstring clang,$(CC)),clang,gcc libc6-dev)"; \
if command -v $(firstword $(PKG_CONFIG)) >/dev/null; then \
    for pair in $1; do \
        $(PKG_CONFIG) --exists $${pair%%:*} || missing="$$missing $${pair#*:}"; \
    done; \
else \
    missing="$$missing pkg-config $(foreach p,$1,$(lastword $(subst :, ,$p)))"; \
fi; \
echo '#include <libs3.h>' | $(CC) $(CPPFLAGS) $(CFLAGS) -E - >/dev/null 2>&1 || missing="$$missing libs3-dev"
endef

define require
@mkdir -p $(@D)
@$(call missing,$1); \
if [ -n "$$missing" ]; then \
    echo "error: missing packages:" $$missing >&2; \
    echo "       sudo apt-get install -y" $$missing >&2; \
    exit 1; \
fi; touch $@
endef

# Looked at again when a library that was there is gone.
$(BUILD)/.packages: Makefile $(if $(FOUND),,FORCE)
	$(call require,$(PACKAGES))

$(BUILD)/.test-packages: Makefile
	$(call require,$(TEST_PACKAGES))

# --- Stamps: files that change only when what they record changes ---------------------------------

# $(call stamp,TEXT): write TEXT to the target unless it holds it already.
define stamp
@mkdir -p $(@D)
@$(file >$@.new,$1)cmp -s $@.new $@ && rm $@.new || mv $@.new $@
endef

CC_VERSION := $(shell $(CC) --version 2>/dev/null | head -n 1)

$(BUILD)/.compiler: FORCE | $(BUILD)/.packages
	$(call stamp,$(CC_VERSION) $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS))

$(BUILD)/.linker: FORCE | $(BUILD)/.packages
	$(call stamp,$(CC) $(ALL_LDFLAGS) $(LIBS_COMMON) $(LIBS_TESTS))

# A removed file leaves no newer prerequisite behind: the list itself is one.
$(BUILD)/.sources: FORCE | $(BUILD)/.packages
	$(call stamp,$(SOURCES) $(SCRIPTS) $(WEB) $(TESTABLE_SRC))

$(BUILD)/.version: FORCE | $(BUILD)/.packages
	$(call stamp,$(VERSION_FLAGS))

# --- Embedded files: $(BUILD)/gen/<name>.h holds one string for each file --------------------------

SCRIPTS := $(wildcard common/store/scripts/*.lua)
WEB := $(wildcard producer/gateway/web/*)
GENERATED := $(BUILD)/gen/scripts.h $(BUILD)/gen/web.h

$(BUILD)/gen/scripts.h: $(SCRIPTS) mk/embed.awk $(BUILD)/.sources
	@mkdir -p $(@D)
	@echo "  EMBED   $@"
	$(Q)awk -v prefix=script_ -v comment=-- -f mk/embed.awk $(SCRIPTS) </dev/null >$@

$(BUILD)/gen/web.h: $(WEB) mk/embed.awk $(BUILD)/.sources
	@mkdir -p $(@D)
	@echo "  EMBED   $@"
	$(Q)awk -v prefix=page_ -f mk/embed.awk $(WEB) </dev/null >$@

# --- Compiling and linking -------------------------------------------------------------------------

$(call objects,$(VERSION_FILE)): $(BUILD)/.version

$(BUILD)/obj/%.o: %.c $(BUILD)/.compiler | $(GENERATED)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(call compile,$<) -MMD -MP -o $@

$(BUILD)/libcommon.a: $(call objects,$(COMMON_SRC))
$(BUILD)/libhandler.a: $(call objects,$(HANDLER_SRC))
$(BUILD)/libprograms.a: $(call objects,$(TESTABLE_SRC))

$(BUILD)/libsupport.a: $(call objects,$(SUPPORT_SRC))

$(BUILD)/lib%.a: $(BUILD)/.sources
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# --- The C library: what it needs of common/, with the public symbols alone -------------------------

SHARED_LDFLAGS = -shared $(filter-out -pie,$(ALL_LDFLAGS))

$(SHARED): $(call objects,$(LIBRARY_SRC)) $(BUILD)/libcommon.a library/libcress.map $(BUILD)/.linker $(BUILD)/.sources
	@echo "  LINK    $@"
	$(Q)$(CC) $(SHARED_LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script,library/libcress.map -o $@ \
	    $(filter %.o,$^) $(BUILD)/libcommon.a $(LIBS_COMMON)

$(BUILD)/libcress.so: $(SHARED)
	$(Q)ln -sf $(<F) $@

# One object, in which hidden symbols have become local: an archive has no other way to hide them.
$(BUILD)/obj/library.o: $(call objects,$(LIBRARY_SRC)) $(BUILD)/libcommon.a $(BUILD)/.sources
	@echo "  LD      $@"
	$(Q)$(LD) -r -o $@ $(filter %.o,$^) $(BUILD)/libcommon.a && $(OBJCOPY) --localize-hidden $@

$(BUILD)/libcress.a: $(BUILD)/obj/library.o

# What a program that links statically needs besides.
LIBRARY_MODULES := librabbitmq jansson libuv hiredis inih openssl
PC_VALUES = PREFIX LIBDIR INCLUDEDIR VERSION LIBRARY_MODULES
$(BUILD)/.pc: FORCE | $(BUILD)/.packages
	$(call stamp,$(foreach v,$(PC_VALUES),$($v)))
$(BUILD)/cress.pc: dist/pkgconfig/cress.pc.in $(BUILD)/.pc
	$(Q)sed $(foreach v,$(PC_VALUES),-e 's|@$v@|$($v)|') $< >$@

$(USERS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libcress.so $(BUILD)/.linker
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< -L$(BUILD) -lcress -Wl,-rpath,'$$ORIGIN/../..'

$(TASKS): $(BUILD)/%.so: $(BUILD)/obj/%.o $(BUILD)/.linker
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(SHARED_LDFLAGS) -o $@ $< $(call pkg-libs,jansson)

# --- Programs and tests ----------------------------------------------------------------------------

$(BUILD)/cress: $(call objects,$(CLI_SRC))
$(BUILD)/cress-gateway: $(call objects,$(GATEWAY_SRC))
$(BUILD)/cress-gateway: LIBS = $(LIBS_GATEWAY)
$(BUILD)/cress-worker: $(call objects,$(WORKER_SRC))
$(BUILD)/cress-worker: LIBS = $(LIBS_WORKER)
# Plug-ins call what <cress/task.h> declares: the program's only symbols that are not hidden.
$(BUILD)/cress-worker: LINK_FLAGS = -rdynamic
TESTS := $(UNIT) $(CLIENTS) $(CORPUS) $(BENCH) $(FUZZ)
$(TESTS): LIBS = $(LIBS_TESTS)
$(CLIENTS): $(BUILD)/libsupport.a
$(TESTS): | $(BUILD)/.test-packages
# Archives give what is missing: a test that defines all that it needs of a file links its own in that file's place.
# These show that what runs jobs can be linked without the worker.
$(HANDLER_TESTS): $(BUILD)/libhandler.a
$(filter-out $(HANDLER_TESTS),$(TESTS)): $(BUILD)/libprograms.a
$(FUZZ): LINK_FLAGS = -fsanitize=fuzzer
$(EXAMPLES) $(filter-out $(CORPUS),$(TESTS)): $(BUILD)/%: $(BUILD)/obj/%.o
$(filter $(BUILD)/examples/tutorials/%,$(EXAMPLES)): $(BUILD)/obj/examples/tutorials/tutorial.o
$(CORPUS): $(BUILD)/tests/corpus/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/standalone.o

$(PROGRAMS) $(EXAMPLES) $(TESTS): $(BUILD)/libcommon.a $(BUILD)/.linker $(BUILD)/.sources
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) $(LINK_FLAGS) -o $@ $(filter %.o,$^) $(filter %/libsupport.a,$^) $(filter %/libprograms.a %/libhandler.a,$^) \
	    $(BUILD)/libcommon.a $(LIBS) $(LIBS_COMMON)

# Written by make itself: with hundreds of files the text would be too long for a shell's command line.
json = $(subst ",\",$(subst \,\\,$1))
entry = {"directory": "$(CURDIR)", "file": "$1", "command": "$(call json,$(call compile,$1))"}
$(COMPILE_COMMANDS): $(BUILD)/.compiler $(BUILD)/.sources
	@$(file >$@,[)$(foreach f,$(SOURCES),$(file >>$@,$(if $(filter-out $(firstword $(SOURCES)),$f),$(comma))$(call entry,$f)))$(file >>$@,]):
comma := ,

-include $(patsubst %.o,%.d,$(call objects,$(SOURCES)))
