# diagws: build, test, install. `make help` lists the targets.
#   V=1 shows the commands; SANITIZE=address,undefined builds into a folder of its own;
#   WERROR=1 makes warnings errors (CI); PREFIX and DESTDIR as usual.

VERSION  := 0.1.0
PREFIX   ?= /usr/local
CC       ?= cc
PYTHON   ?= /usr/bin/python3
# What a sanitizer reports needs lines, not variables; at -O1 it compiles in 60 % of the CPU time.
CFLAGS   ?= $(if $(SANITIZE),-O1 -g1,-O2 -g)

comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

COMMANDS := diagws diagws-hub diagws-edge diagws-send diagws-stat diagws-owner diagws-token diagws-bench diagws-clinic

# What a fresh Debian 12 lacks. Build and run first, then what only tests, lint and the demo need.
PACKAGES := gcc binutils libc6-dev make pkg-config libwebsockets-dev libwebsockets-evlib-uv libmicrohttpd-dev libuv1-dev libzmq3-dev \
	libmsgpack-dev libjwt-dev libjansson-dev liblmdb-dev uthash-dev libsystemd-dev \
	libssl-dev libsqlite3-dev libcmocka-dev python3 python3-pip python3-websockets python3-pytest python3-pytest-xdist curl jq sqlite3 strace openssl mandoc \
	bash-completion clang libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck iproute2 e2fsprogs patch chromium systemd \
	nginx haproxy hitch
# What `make bench` compares with, and what bench-check counts with.
BENCH_PACKAGES := libnginx-mod-nchan redis-tools valgrind

WARN := -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	$(if $(WERROR),-Werror)
HARD := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
SAN  := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS  = -std=c11 -D_GNU_SOURCE -DDW_VERSION='"$(VERSION)"' -Iinclude -Ilib $(if $(filter cmd/diagws-edge/% tests/%,$<),-Icmd/diagws-edge) \
	$(if $(filter cmd/diagws-hub/% tests/%,$<),-Icmd/diagws-hub) \
	$(if $(filter cmd/diagws-clinic/% $(BUILD)/gen/% tests/%,$<),-Icmd/diagws-clinic -I$(BUILD)/gen) -include lib/base/banned.h \
	$(WARN) $(HARD) $(SAN) -MMD -MP $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS)
pc = $(shell pkg-config --libs $(1) 2>/dev/null)

# libdiagws is what a sender needs; the commands link the objects they use from lib.a.
CLIENT_SRC := $(addprefix lib/,$(addprefix base/,buf clock err paths utf8) json/json json/json_plain message/msg message/request \
	$(addprefix wire/,bus endpoint msgpack wire) $(addprefix client/,client diagws diagws_updates pending))
LIB_SRC    := $(wildcard lib/*/*.c lib/*/*/*.c)
# Has the name of a function of libc, for programs that serve HTTP alone: they link it themselves.
RECEIVE    := $(BUILD)/lib/http/receive.o
LIB_OBJ    := $(filter-out $(RECEIVE),$(LIB_SRC:%.c=$(BUILD)/%.o))
LIB_A      := $(BUILD)/lib/lib.a
EDGE_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/diagws-edge/*.c cmd/diagws-edge/*/*.c))
HUB_OBJ    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/diagws-hub/*.c cmd/diagws-hub/*/*.c))
BENCH_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/diagws-bench/*.c))
CLINIC_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/diagws-clinic/*.c cmd/diagws-clinic/*/*.c)) $(BUILD)/gen/clinic_sql.o
PIC_OBJ    := $(CLIENT_SRC:%=$(BUILD)/pic/%.o)
SONAME     := libdiagws.so.0

CLIENT_LIBS := libzmq msgpack jansson libcrypto
LIBS_diagws         := libcrypto
LIBS_diagws-hub     := $(CLIENT_LIBS) lmdb libsystemd
LIBS_diagws-edge    := $(CLIENT_LIBS) libwebsockets libssl libmicrohttpd libuv libjwt libsystemd
LIBS_diagws-send    := $(CLIENT_LIBS)
LIBS_diagws-stat    := $(CLIENT_LIBS)
LIBS_diagws-owner   := $(CLIENT_LIBS)
LIBS_diagws-token   := libjwt jansson libcrypto
LIBS_diagws-clinic  := $(CLIENT_LIBS) libmicrohttpd libuv libjwt libsystemd sqlite3
LIBS_diagws-bench   := $(CLIENT_LIBS) libjwt

BINARIES   := $(COMMANDS:%=$(BUILD)/bin/%)
UNIT_SRC   := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/tests/%,$(notdir $(UNIT_SRC)))
WWW        := $(patsubst cmd/diagws-clinic/www/%,$(BUILD)/share/diagws/www/%,$(wildcard cmd/diagws-clinic/www/*))
LIBRARIES  := $(BUILD)/lib/libdiagws.a $(BUILD)/lib/libdiagws.so $(BUILD)/lib/pkgconfig/diagws.pc

.PHONY: all deps deps-bench bench bench-check timing demo demo-clinic check check-built check-unit check-model check-integration check-fault check-fuzz check-thread fuzz fuzz-built fuzz-live stacks browser model torture clinic-kills clinic-million attacks dropping hub-restarts slow-clients power-loss kill-every-syscall inject idle mutants conformance coverage lint format install uninstall clean help
.SECONDARY:

all: $(BINARIES) $(LIBRARIES) $(WWW)

help:
	@echo 'make all                build into build/bin and build/lib'
	@echo 'make deps               install the Debian packages that are missing (sudo where needed)'
	@echo 'make demo               all set-up, then the main job on a terminal'
	@echo 'make demo-clinic        a made-up clinic with its page; stays until ^C, or SCRIPT=1: drives itself'
	@echo 'make check              all set-up, then all tests (check-unit, -model, -integration, -fault, -fuzz: a part)'
	@echo 'make check SANITIZE=address,undefined   the same under sanitizers, or =thread: what has threads'
	@echo 'make stacks             clients of other people: Chromium, Node ws, Go gorilla, Java, python3-websockets, curl'
	@echo 'make browser            the dashboard in Chromium; its pictures lie then in build/screens'
	@echo 'make model              random histories against the model: SEEDS=1000000 SEED=first ENGINE=memory|lmdb, or REAL=100'
	@echo 'make torture            kill processes under load: KILLS=1000 SEED=number'
	@echo 'make clinic-kills       kill a clinic while feedback flows, compare what all know: KILLS=100 SEED=number'
	@echo 'make dropping           clients that drop their connections: DROPS=100 SEED=number'
	@echo 'make hub-restarts       under 1000 clients: RESTARTS=200 SEED=number'
	@echo 'make slow-clients       what clients that never read cost the others: RUNS=5'
	@echo 'make attacks            what attackers cost honest clients beside them: RUNS=3 SECONDS=4 ONLY=status,own'
	@echo 'make power-loss         cut the power of the store, as root: CUTS=200 SEED=number'
	@echo 'make kill-every-syscall kill hub, edge and sender at each system call of a publish'
	@echo 'make inject             fail each call of the allocator and of the store'
	@echo 'make idle               130 s without a message, and a long poll of 60 s, behind each proxy of examples/proxy'
	@echo 'make fuzz               parsers and files against any bytes: MINUTES=10 ONLY=json'
	@echo 'make fuzz-live          a real hub and edge against mutated bytes, beside an honest pair: MINUTES=10 SEED=number'
	@echo 'make mutants            break the product on purpose: MUTANTS=names; each must be caught'
	@echo 'make conformance        Autobahn on WebSockets, and inputs that desynchronize HTTP, direct and behind proxies: CASES=7.*'
	@echo 'make bench              beside Nchan, Redis, bare loops, into tests/bench/RESULTS.md: RUNS=3 ONLY=rows QUICK=1 BESIDE=build'
	@echo 'make bench-check        instructions of hot paths against those stored: STORE=1 stores them anew'
	@echo 'make clinic-million     the clinic with 1,000,000 pieces of feedback: RECORDS=number'
	@echo 'make timing             whether refusals tell unknown rooms from forbidden ones: TRIES=20000 SEED=number'
	@echo 'make coverage           lines of the cores of hub and edge that the unit tests run: COVER=folders'
	@echo 'make lint | format      check, or apply, the style'
	@echo 'make install uninstall  DESTDIR and PREFIX as usual'
	@echo 'make clean              remove build/'

# Says what it does; quiet and without any right when nothing is missing. A proxy that was not there is not left running:
# where there is no service manager its package may have started it all the same.
deps-bench: deps
deps-bench: private PACKAGES := $(BENCH_PACKAGES)
deps deps-bench:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || echo $$p; done); \
	[ -n "$$missing" ] || exit 0; \
	[ "$$(id -u)" = 0 ] && sudo= || sudo=sudo; \
	echo "installing with $${sudo:-apt-get}:" $$missing; \
	$$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing || exit; \
	for p in $$missing; do case $$p in nginx | haproxy | hitch) \
		if [ -d /run/systemd/system ]; then $$sudo systemctl disable --now $$p; \
		elif [ -e /run/$$p.pid ]; then $$sudo service $$p stop; fi;; esac; done

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$< (shared))
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

# The clinic's SQL as texts in C.
CLINIC_SQL := $(wildcard cmd/diagws-clinic/sql/*.sql)
$(BUILD)/gen/clinic_sql.h $(BUILD)/gen/clinic_sql.c: cmd/diagws-clinic/sql/compile.awk $(CLINIC_SQL)
	@mkdir -p $(@D)
	$(call say,SQL,$@)
	$(Q)awk -v header=$(if $(filter %.h,$@),1,0) -f $< $(CLINIC_SQL) >$@
$(BUILD)/gen/clinic_sql.o: $(BUILD)/gen/clinic_sql.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(CLINIC_OBJ): | $(BUILD)/gen/clinic_sql.h
$(BUILD)/bin/diagws-clinic: $(BUILD)/gen/clinic_sql.o

# The dashboard's files, where programs find them: beside bin/, as when installed.
$(BUILD)/share/diagws/www/%: cmd/diagws-clinic/www/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(LIB_A): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

# Each command is its folder's sources and whatever it names from lib/.
define command_rule
$(BUILD)/bin/$(1): $$(patsubst %.c,$(BUILD)/%.o,$$(wildcard cmd/$(1)/*.c cmd/$(1)/*/*.c)) \
		$$(if $$(filter libmicrohttpd,$$(LIBS_$(1))),$(RECEIVE)) $(LIB_A)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $(LIB_A) $$(call pc,$(LIBS_$(1))) -lpthread
endef
$(foreach c,$(COMMANDS),$(eval $(call command_rule,$(c))))

$(BUILD)/lib/libdiagws.a: $(PIC_OBJ)
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

$(BUILD)/lib/libdiagws.so: $(PIC_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,-z,relro,-z,now $(SAN) -o $(BUILD)/lib/$(SONAME) $^ $(call pc,$(CLIENT_LIBS))
	$(Q)ln -sf $(SONAME) $@

$(BUILD)/lib/pkgconfig/diagws.pc: lib/client/diagws.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' $< >$@

# A unit test links only what it names: the header lines `/* links: lib/x.c … */` and `/* libs: y */`; `/* wraps: f … */`
# are functions of ours that the test has its own of, as __wrap_f; `/* hub */` is a hub without its loop, its socket and
# its store thread (tests/lib/hub_kit.h); `/* edge */` an edge's cores, without sockets and clocks (tests/lib/edge_kit.h).
HUB_KIT := $(filter-out $(addprefix $(BUILD)/cmd/diagws-hub/,main.o loop.o options.o store/store.o), $(HUB_OBJ)) \
	$(BUILD)/tests/lib/engine_mem.o
EDGE_CORES := $(filter-out $(addprefix $(BUILD)/cmd/diagws-edge/,main.o options.o hub/% http/% door/gate.o door/server.o), $(EDGE_OBJ))
EDGE_KIT := $(EDGE_CORES) $(addprefix $(BUILD)/tests/lib/edge_,kit.o lws.o world.o)
EDGE_OURS := dw_now_ms dw_mono_ms dw_mono_us dw_random
vpath test_%.c $(sort $(dir $(UNIT_SRC)))
$(BUILD)/tests/test_%: test_%.c $(LIB_A) $(HUB_OBJ) $(EDGE_OBJ) $(BENCH_OBJ) $(CLINIC_OBJ) $(BUILD)/tests/lib/engine_mem.o $(EDGE_KIT)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -DDW_TESTING -o $@ $< \
		$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed -n 's|^\(.*\)\.c$$|$(BUILD)/\1.o|p') \
		$$(grep -q '^/\* hub \*/$$' $< && echo $(HUB_KIT) $(LIB_A)) \
		$$(sed -n 's|^/\* wraps: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed 's|^|-Wl,--wrap=|') \
		$$(grep -q '^/\* edge \*/$$' $< && echo $(EDGE_KIT) $(LIB_A) $(EDGE_OURS:%=-Wl$(comma)--wrap=%)) \
		$(ALL_LDFLAGS) $$(pkg-config --libs cmocka $$(sed -n 's|^/\* libs: \(.*\) \*/$$|\1|p' $<)) -lpthread

# An edge of another protocol version, for the test that a hub refuses it.
$(BUILD)/tests/diagws-edge-v99: $(EDGE_OBJ) $(RECEIVE) $(LIB_A) lib/wire/wire.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -DDW_PROTOCOL_VERSION=99 -c -o $(@D)/wire-v99.o lib/wire/wire.c
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter-out %.c,$(filter %.o,$^)) $(@D)/wire-v99.o $(LIB_A) \
		$(call pc,$(LIBS_diagws-edge)) -lpthread

# libdiagws as another program would use it.
$(BUILD)/tests/embed: examples/embed.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -pie $(SAN) -L$(BUILD)/lib -ldiagws -Wl,-rpath,$(abspath $(BUILD)/lib)

# The library's calls on a pipe, and the same of another protocol version.
$(BUILD)/tests/api: tests/lib/api.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -pie $(SAN) -L$(BUILD)/lib -ldiagws -Wl,-rpath,$(abspath $(BUILD)/lib)

$(BUILD)/tests/api-v99: tests/lib/api.c $(PIC_OBJ) lib/wire/wire.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -DDW_PROTOCOL_VERSION=99 -c -o $@-wire.o lib/wire/wire.c
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $@-wire.o $(filter-out %/wire/wire.o,$(PIC_OBJ)) $(ALL_LDFLAGS) \
		$(call pc,$(CLIENT_LIBS)) -lpthread

# lib/http without an edge.
$(BUILD)/tests/http_server: tests/lib/http_server.c $(RECEIVE) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(RECEIVE) $(LIB_A) $(call pc,$(LIBS_diagws-edge)) -lpthread

# Many WebSocket clients in one process, for the fault tests.
$(BUILD)/tests/clients: tests/fault/clients.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS)

# An edge that echoes.
ECHO_OURS := ws_receive ws_peer_closes lws_frame_is_binary lws_remaining_packet_payload dw_utf8_take conn_text sub_open
$(BUILD)/tests/diagws-edge-echo: tests/conformance/echo.c $(EDGE_OBJ) $(RECEIVE) $(LIB_A)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(ECHO_OURS:%=-Wl$(comma)--wrap=%) -o $@ $< $(EDGE_OBJ) $(RECEIVE) $(LIB_A) \
		$(call pc,$(LIBS_diagws-edge)) -lpthread

# Preloaded into a process: holds back an edge's checks of signatures; lets its main thread get stuck.
$(BUILD)/tests/hold.so $(BUILD)/tests/stick.so: $(BUILD)/tests/%.so: tests/lib/%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(filter-out $(SAN),$(ALL_CFLAGS)) -fPIC -shared -o $@ $<

# A hub and its edges in one process, with clocks and a network of the test's (tests/model/sim.h): everything that the two
# commands are made of but what touches the world. The two have functions of the same names: the hub's stay its own.
SIM_HUB  := $(filter-out $(addprefix $(BUILD)/cmd/diagws-hub/,main.o loop.o options.o store/store.o), $(HUB_OBJ)) \
	$(BUILD)/tests/model/sim_hub.o
SIM_EDGE := $(filter-out $(addprefix $(BUILD)/cmd/diagws-edge/,main.o options.o client/ws.o door/gate.o door/server.o), $(EDGE_OBJ)) $(RECEIVE) $(addprefix $(BUILD)/tests/model/,harness.o harness_hub.o harness_client.o sim_edge.o sim_net.o sim_poll.o) $(BUILD)/tests/lib/engine_mem.o
SIM_OURS := dw_now_ms dw_mono_ms dw_mono_us dw_random dw_random_id fsync fdatasync fallocate pread
$(BUILD)/tests/harness: $(SIM_HUB) $(SIM_EDGE) $(LIB_A)
	$(call say,LD,$@)
	$(Q)$(CC) -r -nostdlib -o $@-hub.o $(SIM_HUB)
	$(Q)objcopy --wildcard --keep-global-symbol='hub_*' $@-hub.o
	$(Q)$(CC) $(ALL_LDFLAGS) $(SIM_OURS:%=-Wl,--wrap=%) -o $@ $@-hub.o $(SIM_EDGE) $(LIB_A) \
		$(call pc,msgpack jansson libcrypto libjwt lmdb) -lpthread

# All places, all mutants, all allocations up to a bound: minutes, where check-fault takes samples.
kill-every-syscall inject idle mutants: all $(BUILD)/tests/inject.so
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) DIAGWS_FAULT=long $(PYTHON) $(LONG_$@)
LONG_pytest             := -m pytest -q -s -p no:cacheprovider $(PYTEST)
LONG_kill-every-syscall := $(LONG_pytest) tests/fault/test_kill.py
LONG_inject             := $(LONG_pytest) tests/fault/test_inject.py
LONG_idle               := $(LONG_pytest) tests/fault/test_proxies.py
LONG_mutants            := tests/fault/test_mutants.py $(MUTANTS)

# A fuzz target is its file in tests/fuzz, all of lib/, and what its header line names of the programs; built by clang,
# into a folder of its own.
FUZZ_SRC   := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_EDGE  := $(filter cmd/%,$(shell sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $(FUZZ_SRC)))
FUZZ_BUILD := build/fuzz
FUZZ_MAKE   = $(MAKE) --no-print-directory -j $(shell nproc) BUILD=$(FUZZ_BUILD) CC=clang CFLAGS='-O1 -g' SANITIZE=fuzzer-no-link,address,undefined WERROR=
$(FUZZ_BUILD)/bin/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(LIB_A) $(FUZZ_EDGE:%.c=$(BUILD)/%.o)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_CFLAGS)) -o $@ $< \
		$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed -n 's|^\(.*\)\.c$$|$(BUILD)/\1.o|p') \
		$$(sed -n 's|^/\* wraps: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed 's|^|-Wl,--wrap=|') $(LIB_A) \
		$(ALL_LDFLAGS) $$(pkg-config --libs libcrypto $$(sed -n 's|^/\* libs: \(.*\) \*/$$|\1|p' $<)) -lpthread

# Each target for MINUTES, or SECONDS, as many at once as there are cores; ONLY=names. What they learn stays in build/fuzz.
fuzz-built:
	$(Q)$(FUZZ_MAKE) $(patsubst tests/fuzz/fuzz_%.c,$(FUZZ_BUILD)/bin/%,$(FUZZ_SRC))

fuzz: deps
	$(Q)$(MAKE) --no-print-directory fuzz-built
	$(Q)$(PYTHON) tests/fuzz/run.py --seconds $(or $(SECONDS),$(shell expr $(or $(MINUTES),10) \* 60)) $(ONLY)

# Mutated bytes at a real hub and a real edge, for MINUTES each, beside an honest pair; SEED=number as it was printed.
fuzz-live: all
	$(Q)for which in hub edge; do DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fuzz/live_$$which.py \
		--minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) || exit; done

# `make check SANITIZE=thread`: the hub's unit tests, and what a store thread, checks of tokens, restarts and mutated bytes
# make of hub and edge; and the clinic's requests, which a thread of their own carries out. Suppressed is only what lies wholly in libzmq.
export TSAN_OPTIONS ?= suppressions=$(CURDIR)/tests/lib/tsan.supp
THREAD_UNIT  := $(patsubst %.c,$(BUILD)/tests/%,$(notdir $(shell grep -lE '^/. links: .*(cmd/diagws-hub|lib/wire/router)' $(UNIT_SRC))))
THREAD_TESTS := $(addprefix tests/integration/test_,commit.py restart.py tokens.py live_fuzz.py clinic_http.py)
check-thread: $(BINARIES) $(THREAD_UNIT)
	$(Q)for t in $(THREAD_UNIT); do echo "$$t"; $$t || exit 1; done
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $(THREAD_TESTS) $(PYTEST)

check-fuzz:
	$(Q)$(MAKE) --no-print-directory fuzz SECONDS=10 ONLY=

# Makes chosen calls of a process fail, when preloaded into it.
$(BUILD)/tests/inject.so: tests/fault/inject.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(filter-out $(SAN),$(ALL_CFLAGS)) -fPIC -shared -o $@ $<

# What tests use beside the commands. It is built first, with all cores: the parts themselves take turns.
FOR_INTEGRATION := $(addprefix $(BUILD)/tests/,diagws-edge-v99 embed api api-v99 http_server hold.so stick.so)
FOR_FAULT       := $(BUILD)/tests/clients $(if $(SANITIZE),,$(BUILD)/tests/inject.so)
check-built: all $(UNIT_TESTS) $(BUILD)/tests/harness $(FOR_INTEGRATION) $(FOR_FAULT)

# The model's tests wait for much, and leave time for others; under a sanitizer each has the machine to itself.
PART := $(MAKE) --no-print-directory
check: deps
	$(Q)$(if $(filter thread,$(SANITIZE)),$(PART) check-thread, \
		$(PART) -j $(shell nproc) check-built && \
		$(PART) $(if $(SANITIZE),,-j 3 --output-sync) check-unit check-model $(if $(PYTEST)$(SANITIZE),,stacks browser) && \
		$(PART) check-integration check-fault $(if $(SANITIZE),,check-fuzz))

# The longest first, so that no core waits for it at the end.
UNIT_FIRST := $(BUILD)/tests/test_damage
check-unit: $(UNIT_TESTS)
	$(Q)printf '%s\n' $(UNIT_FIRST) $(filter-out $(UNIT_FIRST),$(UNIT_TESTS)) | xargs -P $(shell nproc) -n 1 sh -c \
		'said=$$("$$0" 2>&1); status=$$?; printf "%s\n%s\n" "$$0" "$$said"; [ $$status = 0 ] || exit 255'

check-model: all $(BUILD)/tests/harness
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 tests/model $(PYTEST)

# Random histories: SEEDS=1000000 of them, from SEED=1 on; ENGINE=memory or lmdb alone. What fails is printed as short as
# it can be, and lies then in KEEP=directory. REAL=100: so many through real processes instead.
FUZZ = fuzz.py --seeds $(or $(SEEDS),1000000) --engine $(or $(ENGINE),both) $(if $(KEEP),--keep $(KEEP))
model: $(BUILD)/tests/harness $(if $(REAL),all)
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/model/$(if $(REAL),real.py --seeds $(REAL),$(FUZZ)) \
		--seed $(or $(SEED),1)

check-integration: all $(FOR_INTEGRATION)
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 6 tests/integration $(PYTEST)

# Clients of other people's stacks: what of node, go and java is there is used, and fetches what it needs into build/stacks.
stacks: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 tests/stacks $(PYTEST)

# The dashboard in a real browser, on real hubs and edges.
browser: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 tests/browser $(PYTEST)

check-fault: all $(FOR_FAULT)
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider $(if $(PYTEST),,-n 4) tests/fault $(PYTEST)

# Autobahn's cases come as a package of PyPI, for Python 2: only its case files are used.
AUTOBAHN := build/conformance/autobahntestsuite-25.10.1-py2-none-any.whl
$(AUTOBAHN):
	@mkdir -p $(@D)
	$(call say,PIP,$@)
	$(Q)$(PYTHON) -m pip download -q --no-deps --only-binary :all: --python-version 27 --implementation py -d $(@D) \
		autobahntestsuite==25.10.1

conformance: deps
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/tests/diagws-edge-echo $(AUTOBAHN)
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/conformance/websocket.py --wheel $(AUTOBAHN) \
		$(if $(CASES),--cases '$(CASES)')
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/conformance/smuggle.py

# Prints its seed; the same seed kills the same processes in the same order.
torture: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fault/torture.py --kills $(or $(KILLS),1000) \
		$(if $(SEED),--seed $(SEED))

clinic-kills: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fault/clinic.py --kills $(or $(KILLS),100) $(if $(SEED),--seed $(SEED))

# Chromium and a script drop their connections: DROPS (and as many reloads), SEED.
dropping: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) DROPS=$(or $(DROPS),100) $(if $(SEED),SEED=$(SEED)) \
		$(PYTHON) -m pytest -q -s -p no:cacheprovider tests/fault/test_dropping.py

hub-restarts: all $(BUILD)/tests/clients
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fault/restarts.py --restarts $(or $(RESTARTS),200) \
		$(if $(SEED),--seed $(SEED))

slow-clients: all $(BUILD)/tests/clients
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/fault/slow.py --runs $(or $(RUNS),5)

# Prints a table, for tests/bench/RESULTS.md by hand.
attacks: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/attacks.py --runs $(or $(RUNS),3) \
		--seconds $(or $(SECONDS),4) $(subst $(comma), ,$(ONLY))

clinic-million: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/clinic.py --records $(or $(RECORDS),1000000)

# CUTS=200, SEED=number: the power of the store's disk (an own loop-mounted ext4, as root) is cut so many times.
power-loss: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) POWER_CUTS=$(or $(CUTS),200) $(if $(SEED),SEED=$(SEED)) $(PYTHON) -m pytest -q -s \
		-p no:cacheprovider tests/fault/test_power.py $(PYTEST)

# What diagws is measured against, and drivers of its hot paths. They name libraries and objects of commands as unit tests
# do; of lib/ they take what they need.
FLOORS := $(addprefix $(BUILD)/tests/,floor_epoll floor_lws)
HOT    := $(patsubst tests/bench/%.c,$(BUILD)/tests/%,$(wildcard tests/bench/hot_*.c))
$(BUILD)/tests/%: tests/bench/%.c $(LIB_A) $(EDGE_OBJ) $(HUB_KIT)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< \
		$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed -n 's|^\(.*\)\.c$$|$(BUILD)/\1.o|p') \
		$$(grep -q '^/\* hub \*/$$' $< && echo $(HUB_KIT)) \
		$(LIB_A) $(ALL_LDFLAGS) $$(pkg-config --libs $$(sed -n 's|^/\* libs: \(.*\) \*/$$|\1|p' $<))

# Everything side by side, by turns; RESULTS.md says what and how. For a machine with nothing else to do.
bench: deps
	$(Q)$(MAKE) --no-print-directory deps-bench || echo 'going on without them'
	$(Q)$(MAKE) --no-print-directory all $(FLOORS)
	$(Q)$(MAKE) --no-print-directory $(BUILD)/tests/sizes || echo 'going on without it'
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py --runs $(or $(RUNS),3) $(if $(QUICK),--quick) \
		$(if $(BESIDE),--beside $(abspath $(BESIDE)) --minutes 25) $(ONLY)

bench-check: deps-bench
	$(Q)$(MAKE) --no-print-directory $(HOT)
	$(Q)$(PYTHON) tests/bench/check.py --build $(abspath $(BUILD)) --flags '$(CFLAGS)' $(if $(STORE),--store)

# TRIES of each kind of room, SEED=number: Welch's t of how long a refusal takes.
timing: all
	$(Q)DIAGWS_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/timing.py --tries $(or $(TRIES),20000) \
		$(if $(SEED),--seed $(SEED))

demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)DIAGWS_BIN=$(abspath $(BUILD)/bin) examples/demo.sh

demo-clinic: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)DIAGWS_BIN=$(abspath $(BUILD)/bin) $(if $(SCRIPT),SCRIPT=$(SCRIPT)) examples/demo-clinic.sh

# Lines of the folders that are made to be driven without sockets, by the unit tests alone; COVER='lib/room cmd/...'.
COVER_BUILD := build/cov
coverage:
	$(Q)mkdir -p $(COVER_BUILD) && find $(COVER_BUILD) -name '*.gcda' -delete
	$(Q)$(MAKE) --no-print-directory check-unit BUILD=$(COVER_BUILD) CFLAGS='-O0 -g --coverage -U_FORTIFY_SOURCE' >&2
	$(Q)tests/coverage.sh $(COVER_BUILD) $(COVER)

SOURCES := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
SCRIPTS := .ci/run $(wildcard examples/*.sh)

# Looks at files with the headers of one folder at hand.
TIDY = sh -c 'own=$$0; clang-tidy --quiet "$$@" -- -std=c11 -D_GNU_SOURCE -DDW_VERSION=\"$(VERSION)\" -Iinclude -Ilib -I"$$own" -I$(BUILD)/gen 2>/dev/null'

# What a file needs of others is read from its object.
lint: all
	$(Q)tests/lint-layers.py $(BUILD)
	$(Q)clang-format --dry-run -Werror $(SOURCES)
	$(Q)tests/lint-includes.sh
	$(Q)tests/lint-positions.sh
	$(Q)shellcheck $(SCRIPTS) tests/*.sh completions/diagws.bash
	$(Q)mandoc -T lint -W warning man/*.[1-8] >&2
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j 2 -Iinclude -Ilib --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=uninitvar lib cmd
	$(Q)printf '%s\n' $(filter cmd/diagws-hub/%.c,$(SOURCES)) | xargs -P 2 -n 6 $(TIDY) cmd/diagws-hub
	$(Q)printf '%s\n' $(filter-out cmd/diagws-hub/% cmd/diagws-clinic/%,$(filter lib/%.c cmd/%.c,$(SOURCES))) | xargs -P 2 -n 6 $(TIDY) cmd/diagws-edge
	$(Q)printf '%s\n' $(filter cmd/diagws-clinic/%.c,$(SOURCES)) | xargs -P 2 -n 6 $(TIDY) cmd/diagws-clinic

format:
	$(Q)clang-format -i $(SOURCES)

D := $(DESTDIR)$(PREFIX)

install: all
	$(Q)install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include $(addprefix $(D)/share/doc/diagws/examples/,proxy systemd) \
		$(D)/share/bash-completion/completions $(addprefix $(D)/share/man/man,1 3 7 8)
	$(Q)install $(BINARIES) $(D)/bin
	$(Q)install -d $(D)/share/diagws/www && install -m 644 $(WWW) $(D)/share/diagws/www
	$(Q)install -m 644 $(BUILD)/lib/libdiagws.a $(D)/lib
	$(Q)install $(BUILD)/lib/$(SONAME) $(D)/lib && ln -sf $(SONAME) $(D)/lib/libdiagws.so
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' lib/client/diagws.pc.in >$(D)/lib/pkgconfig/diagws.pc
	$(Q)chmod 644 $(D)/lib/pkgconfig/diagws.pc
	$(Q)install -m 644 include/diagws.h $(D)/include
	$(Q)for m in man/*.[1-8]; do install -m 644 $$m $(D)/share/man/man$${m##*.}; done
	$(Q)install -m 644 completions/diagws.bash $(D)/share/bash-completion/completions/diagws
	$(Q)for c in $(filter-out diagws,$(COMMANDS)); do ln -sf diagws $(D)/share/bash-completion/completions/$$c; done
	$(Q)install -m 644 $(filter-out %.sh %.py,$(wildcard examples/*.*)) $(D)/share/doc/diagws/examples
	$(Q)install $(filter %.sh %.py,$(wildcard examples/*.*)) $(D)/share/doc/diagws/examples
	$(Q)install -m 644 $(wildcard examples/proxy/*) $(D)/share/doc/diagws/examples/proxy
	$(Q)for u in examples/systemd/*; do sed -e 's|/usr/local|$(PREFIX)|' $$u >$(D)/share/doc/diagws/$$u; done

uninstall:
	$(Q)rm -f $(COMMANDS:%=$(D)/bin/%) $(D)/lib/libdiagws.a $(D)/lib/$(SONAME) $(D)/lib/libdiagws.so \
		$(D)/lib/pkgconfig/diagws.pc $(D)/include/diagws.h $(COMMANDS:%=$(D)/share/bash-completion/completions/%)
	$(Q)for m in man/*.[1-8]; do rm -f $(D)/share/man/man$${m##*.}/$${m##*/}; done
	$(Q)rm -rf $(D)/share/doc/diagws $(D)/share/diagws

clean:
	$(Q)rm -rf build

# Not those of the other builds in there, which may be under way.
-include $(shell find $(BUILD) -mindepth 1 \( -path '$(BUILD)/sanitize-*' -o -path '$(FUZZ_BUILD)' -o -path '$(COVER_BUILD)' \) -prune \
	-o -name '*.d' -print 2>/dev/null)
