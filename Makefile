# diagws: build, test, install. `make help` lists the targets.
#   V=1 shows the commands; SANITIZE=address,undefined builds into a folder of its own;
#   WERROR=1 makes warnings errors (CI); PREFIX and DESTDIR as usual.

VERSION  := 0.1.0
PREFIX   ?= /usr/local
CC       ?= cc
PYTHON   ?= /usr/bin/python3
CFLAGS   ?= -O2 -g

empty :=
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(empty),,$(subst $(comma),-,$(SANITIZE))))
comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

COMMANDS := diagws diagws-hub diagws-edge diagws-send diagws-stat diagws-owner diagws-token

# What a fresh Debian 12 lacks. Build and run first, then what only tests, lint and the demo need.
PACKAGES := gcc libc6-dev make pkg-config libwebsockets-dev libwebsockets-evlib-uv libuv1-dev libzmq3-dev \
	libmsgpack-dev libjwt-dev libjansson-dev libjsmn-dev liblmdb-dev uthash-dev libsmartcols-dev libsystemd-dev \
	libssl-dev libcmocka-dev python3 python3-websockets python3-pytest curl jq strace openssl mandoc bash-completion \
	clang-format clang-tidy cppcheck shellcheck

WARN := -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	$(if $(WERROR),-Werror)
HARD := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
SAN  := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS  = -std=c11 -D_GNU_SOURCE -DDW_VERSION='"$(VERSION)"' -Iinclude -include include/diagws/banned.h \
	$(WARN) $(HARD) $(SAN) -MMD -MP $(CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS)
pc = $(shell pkg-config --libs $(1) 2>/dev/null)

# libdiagws is what a sender needs; the commands link the objects they use from lib.a.
CLIENT_SRC := $(addprefix lib/,err buf clock json msg wire bus paths client diagws)
LIB_SRC    := $(wildcard lib/*.c)
LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB_A      := $(BUILD)/lib/lib.a
PIC_OBJ    := $(CLIENT_SRC:%=$(BUILD)/pic/%.o)
SONAME     := libdiagws.so.0

CLIENT_LIBS := libzmq msgpack jansson libcrypto
LIBS_diagws         :=
LIBS_diagws-hub     := $(CLIENT_LIBS) lmdb libsystemd
LIBS_diagws-edge    := $(CLIENT_LIBS) libwebsockets libuv libjwt libsystemd
LIBS_diagws-send    := $(CLIENT_LIBS)
LIBS_diagws-stat    := $(CLIENT_LIBS) smartcols
LIBS_diagws-owner   := $(CLIENT_LIBS)
LIBS_diagws-token   := libjwt jansson libcrypto

BINARIES   := $(COMMANDS:%=$(BUILD)/bin/%)
UNIT_SRC   := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
LIBRARIES  := $(BUILD)/lib/libdiagws.a $(BUILD)/lib/libdiagws.so $(BUILD)/lib/pkgconfig/diagws.pc

.PHONY: all deps demo check check-unit check-integration lint format install uninstall clean help build
.SECONDARY:

all: deps
	$(Q)$(MAKE) --no-print-directory build

build: $(BINARIES) $(LIBRARIES)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$< (shared))
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(LIB_A): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# Each command is its folder's sources and whatever it names from lib/.
define command_rule
$(BUILD)/bin/$(1): $$(patsubst %.c,$(BUILD)/%.o,$$(wildcard cmd/$(1)/*.c)) $(LIB_A)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $(LIB_A) $$(call pc,$(LIBS_$(1))) -lpthread
endef
$(foreach c,$(COMMANDS),$(eval $(call command_rule,$(c))))

# pkg-config knows no lmdb file in every release; -llmdb is its name everywhere.
$(BUILD)/bin/diagws-hub: LDFLAGS += -Wl,--as-needed

$(BUILD)/lib/libdiagws.a: $(PIC_OBJ)
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/lib/libdiagws.so: $(PIC_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,-z,relro,-z,now $(SAN) -o $(BUILD)/lib/$(SONAME) $^ $(call pc,$(CLIENT_LIBS))
	$(Q)ln -sf $(SONAME) $@

$(BUILD)/lib/pkgconfig/diagws.pc: lib/diagws.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' $< >$@

# A unit test links only what it names: the header lines `/* links: lib/x.c … */` and `/* libs: y */`.
$(BUILD)/tests/%: tests/unit/%.c $(LIB_A)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -DDW_TESTING -o $@ $< \
		$$(sed -n 's|^/\* links: \(.*\) \*/$$|\1|p' $< | tr ' ' '\n' | sed -n 's|^\(.*\)\.c$$|$(BUILD)/\1.o|p') \
		$(ALL_LDFLAGS) $$(pkg-config --libs cmocka $$(sed -n 's|^/\* libs: \(.*\) \*/$$|\1|p' $<)) -lpthread
