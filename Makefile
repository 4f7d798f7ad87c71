# Plain `make` sets Tashi up; `make help` lists the rest. The work is done by the scripts in tools/.

VENV ?= .venv
PREFIX ?= /usr/local
PYTHON_IN = $(VENV)/bin/python
GUEST = build/guest/tashi-guest.qcow2

.NOTPARALLEL:
.PHONY: all compiled install uninstall demo demo-down demo-cluster demo-cluster-down test test-all check bench docs guest lock package clean help node-packages hosts-packages test-packages

all: ## set up: virtual environment, libraries, links in bin/
	@tools/setup $(VENV)

compiled: all ## also the libraries for LDAP and libvirt, which are compiled here
	@tools/packages compiled
	@tools/setup $(VENV) --compiled

install: all ## install the clients below PREFIX (/usr/local), for a front-end node; DESTDIR too
	@tools/install $(VENV) '$(PREFIX)' '$(DESTDIR)'

uninstall: ## remove what install put below PREFIX
	@tools/install --remove '$(PREFIX)' '$(DESTDIR)'

demo: node-packages all guest ## a whole cluster on this machine, with one real VM
	@$(PYTHON_IN) -m tashi.programs.demo up

demo-down: ## stop the demo and remove what it made
	@$(PYTHON_IN) -m tashi.programs.demo down

demo-cluster: hosts-packages all guest ## the same with three hosts and two VLANs; needs root
	@$(PYTHON_IN) -m tashi.programs.demo up --many-hosts

demo-cluster-down: ## stop the demo of many hosts and remove what it made
	@$(PYTHON_IN) -m tashi.programs.demo down --many-hosts

test: test-packages compiled guest ## everything: set-up with Debian packages, checks, all tests
	@tools/check $(VENV) --static
	@tools/suite $(VENV)

test-all: test-packages compiled guest ## the same with every kind of store and every fault
	@tools/check $(VENV) --static
	@tools/suite $(VENV) --stores all --faults all

check: node-packages all ## format, lint, types, import contracts, house and unit tests
	@tools/check $(VENV)

bench: node-packages all guest ## run the benchmarks, the quick way
	@for bench in bench/*.py; do echo "== $$bench"; $(PYTHON_IN) $$bench --quick || exit; done

docs: all ## write the generated pages and files anew
	@$(PYTHON_IN) -m tashi.settings.pages
	@$(PYTHON_IN) -m tashi.domain.pages > doc/states.md
	@$(PYTHON_IN) -m tashi.wire.pages > doc/rpc.md
	@$(PYTHON_IN) -m tashi.domain.metricpage > doc/metrics.md

# All that a target needs is asked for at once, so that a user who must ask root asks once.
node-packages:
	@tools/packages python guest node
hosts-packages:
	@tools/packages python guest node hosts
test-packages:
	@tools/packages python guest node hosts compiled test

guest: $(GUEST) ## build the demo guest's disk image
$(GUEST): $(wildcard tools/guest/*)
	@tools/packages guest
	@tools/guest/build $@

lock: all ## pin the newest libraries that pyproject.toml allows
	@CUSTOM_COMPILE_COMMAND='make lock' $(VENV)/bin/pip-compile --quiet --upgrade --extra dev \
	    --generate-hashes --no-strip-extras --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml
	@printf '%s\n' python-ldap libvirt-python | CUSTOM_COMPILE_COMMAND='make lock' \
	    $(VENV)/bin/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --no-strip-extras \
	    -c requirements.lock -o requirements-compiled.lock -

package: all ## build the source archive and the wheel into dist/
	@$(PYTHON_IN) -m build --no-isolation

clean: ## remove what was built here, but nothing that a cluster wrote
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf bin
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf src/*.egg-info .coverage

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name words; do \
	    printf '  make %-18s %s\n' "$$name" "$$words"; done
