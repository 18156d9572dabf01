# The verbs of a working day. Each is one command a person could type; set-up happens by itself.
#
# A value is text and stays text: it is taken as it was typed, travels in the environment, and stands in a recipe as
# "$$NAME", never as $(NAME), which would make it a piece of the shell's program.

PYTHON ?= python3
override VALUES := TARGET SCHOOL PERSON ACTION STATUS FORMAT LIMIT NAMES RUN ONLY ALLOW WHY WHO AS_OF UNTIL FROM REALLY TEST TO AS SHOW \
	SELECT STUDENTS SEED PUSHES ASK SET FIELD CHANGED DATE PYTHON HOMEROOM_VAR HOMEROOM_PROJECT HOMEROOM_RUN
$(foreach name,$(VALUES),$(if $(filter undefined,$(origin $(name))),,$(eval override $(name) := $$(value $(name)))))
export $(VALUES)
ifneq ($(RUN),)
override HOMEROOM_RUN := $(RUN)
endif

override PY := .venv/bin/python
# given(option,NAME): the option, when the value was given; given(flag,NAME,is a flag)
override given = $${$(2):+$(1)$(if $(3),,="$$$(2)")}
override SCOPE = $(call given,--target,TARGET) $(call given,--partition,SCHOOL) $(call given,--subject,PERSON) $(call given,--action,ACTION)
override LIFT = $(call given,--allow,ALLOW) $(call given,--why,WHY)
# what is no room of ours and writes state: nobody else reads it, and it has its folder by name
override HERE = umask 077 && HOMEROOM_VAR=$$($(PY) -c 'from common import paths; print(paths.var())') && export HOMEROOM_VAR
# what dbt is to know of seeds before it reads one
override TOLD = export HOMEROOM_SEEDS="$$($(PY) -m operations seeds)"

help: ## what you can do here, in the order of a working day
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: .venv/nightly ## install what a night needs (every verb does this by itself)

check: .venv/nightly ## do sources, targets and mail server let us in, can the settings be followed? One line each; writes nothing
	@code=0; for room in ingestion reverse_etl operations; do $(PY) -m $$room check || code=$$?; done; exit $$code

demo: .venv/dev ## a synthetic district of STUDENTS=5000: two nights, from nothing to converged targets
	@$(PY) -m demo run --students="$${STUDENTS:-5000}" --seed="$${SEED:-1}"

demo-again: .venv/dev ## one more night on the same extracts: nothing should be written
	@$(PY) -m demo again

demo-next: .venv/dev ## move the synthetic district one school day on, and run its night
	@$(PY) -m demo next

year: .venv/dev ## a year of a synthetic district in twelve nights, each checked against the platforms (about ten minutes)
	@$(PY) -m demo year --students="$${STUDENTS:-60}" --seed="$${SEED:-1}"

ingest: .venv/nightly ## read the source systems into raw_*, checked first
	@$(PY) -m ingestion

observe: .venv/nightly ## read what the targets hold now
	@$(PY) -m reverse_etl observe

build: .venv/nightly ## run the dbt models and their tests (SELECT=…)
	@$(PY) -m operations build $(call given,--select,SELECT)

plan: build ## compare what should be with what is; writes nothing to any target
	@$(PY) -m reverse_etl plan $(SCOPE) $(LIFT)

show: .venv/nightly ## the plan, change by change (TARGET= SCHOOL= PERSON= ACTION= STATUS=held FORMAT=csv; NAMES=1 shows values)
	@$(PY) -m reverse_etl show $(SCOPE) $(call given,--status,STATUS) $(call given,--format,FORMAT) \
		$(call given,--limit,LIMIT) $(call given,--names,NAMES,flag)

release: .venv/nightly ## let changes go that a limit held, once (RUN= ONLY="key,key" or the filters; WHY= WHO=)
	@$(PY) -m reverse_etl release $(SCOPE) $(call given,--only,ONLY) $(call given,--why,WHY) $(call given,--who,WHO)

undo: .venv/nightly ## plan how a run is taken back (RUN=); then show, push, report as ever
	@HOMEROOM_RUN= $(PY) -m reverse_etl undo $(call given,--target,TARGET) $(LIFT) -- "$$RUN"

push: .venv/nightly ## apply the plan, as far as its limits let it
	@$(PY) -m reverse_etl push $(call given,--target,TARGET)

verify: .venv/nightly ## read the targets back and measure what is left
	@$(PY) -m reverse_etl verify $(call given,--target,TARGET)

report: .venv/nightly ## close the run: audit tables, published copy, what needs a person
	@$(PY) -m operations report

status: .venv/nightly ## how things stand: the latest night, what is open, what is unusual
	@$(PY) -m operations status

alert: .venv/nightly ## tell whom it concerns what the latest run found (the night does it by itself); TEST=1 sends a test
	@$(PY) -m operations alert $(call given,--test,TEST,flag)

replay: .venv/nightly ## build an old night again from the archive and compare its exports (DATE=2026-10-05)
	@$(PY) -m operations replay -- "$$DATE"

rehearse: .venv/nightly ## a day to come, on a copy: what the lifecycle and the rollover would do (AS_OF=2027-09-07)
	@$(PY) -m operations rehearse -- "$$AS_OF"

nightly: .venv/nightly ## all of the above in one go; what the scheduler calls
	@$(PY) -m operations nightly $(LIFT)

explain: .venv/nightly ## one person in plain words, and who can mend what (PERSON=1000001, or an account; NAMES=1 shows names)
	@$(PY) -m operations explain $(call given,--names,NAMES,flag) -- "$$PERSON"

pause: .venv/nightly ## no night until then (UNTIL=2027-09-07 WHY="…")
	@$(PY) -m operations pause --until="$$UNTIL" --why="$$WHY"

resume: .venv/nightly ## end the pause
	@$(PY) -m operations resume

backup: .venv/nightly ## copy what cannot be built again, and prove the copy (the night does this by itself)
	@$(PY) -m operations backup

restore: .venv/nightly ## put a backup back; what it replaces is kept (FROM=latest)
	@$(PY) -m operations restore -- "$$FROM"

retention: .venv/nightly ## what is past its days; REALLY=1 lets it go
	@$(PY) -m operations retention $(call given,--really,REALLY,flag)

compact: .venv/nightly ## write warehouse and ledger anew without the air in them
	@$(PY) -m operations compact

install: .venv/nightly ## have this machine run the nights (TO=/etc/systemd/system AS=user; SHOW=cron or SHOW=windows prints)
	@$(PY) -m operations install $(call given,--to,TO) $(call given,--user,AS) $(call given,--show,SHOW)

audit: .venv/nightly ## ask what was sent where, about whom, when and why (ASK=1 PERSON= TARGET= FROM= TO= FIELD= FORMAT=csv)
	@$(PY) -m operations audit $(call given,--set,SET) $(call given,--subject,PERSON) $(call given,--target,TARGET) $(call given,--from,FROM) \
		$(call given,--to,TO) $(call given,--field,FIELD) $(call given,--format,FORMAT) -- $${ASK:+"$$ASK"}

test: .venv/dev ## prove it: units, properties, real servers, whole nights
	@$(PY) -m pytest -q --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not long" tests/python

lint: .venv/dev ## ruff and sqlfluff
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(HERE) && $(TOLD) && DBT_TARGET_PATH="$$HOMEROOM_VAR/lint" \
		$(PY) -m sqlfluff lint --processes 1 --disable-progress-bar models

chaos: .venv/dev ## prove it the hard way: PUSHES=200 under faults, kills and a person editing meanwhile (about two hours)
	@$(PY) -m tests.chaos "$${PUSHES:-200}" "$${SEED:-1}" && $(PY) -m tests.chaos_by_settings "$${PUSHES:-200}" "$${SEED:-1}"

month: .venv/dev ## prove it in a row: thirty nights with every kind of trouble, and what else is too long for every push (about fifty minutes)
	@$(PY) -m pytest -q -s -m long tests/python

mutants: .venv/dev ## faults put in one at a time, and which of them no test notices (ONLY=models/identity, CHANGED=1)
	@$(PY) -m tests.mutants $(call given,--changed,CHANGED,flag) -- $${ONLY:+"$$ONLY"}

bench: .venv/dev ## seconds per step at 5,000 and 20,000 students, rows per second beside bare DuckDB
	@$(PY) -m tests.bench

docs: .venv/nightly ## the models' own documentation, as a site under var/docs
	@$(HERE) && $(TOLD) && DBT_TARGET_PATH="$$HOMEROOM_VAR/docs" $(PY) -m operations alone .venv/bin/dbt docs generate --static --quiet --log-path "$$HOMEROOM_VAR/logs" \
		&& echo "open $$HOMEROOM_VAR/docs/static_index.html"

lock: .venv/dev ## pin what pyproject.toml asks for, with hashes
	@$(PY) -m pip install -q uv && for part in "requirements-dev.txt --extra dev" "requirements.txt -c requirements-dev.txt"; do \
		$(PY) -m uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 pyproject.toml -o $$part; done

audit-deps: .venv/dev ## which known vulnerabilities the locked packages have, by the package registry's advisories
	@$(PY) -m scripts.audit_deps

clean: ## forget the virtual environment and the demo (var/ of a real district is yours to remove)
	@if [ -x $(PY) ]; then $(PY) -m operations alone true; fi
	@var="$${HOMEROOM_VAR:-var}"; if [ -f "$$var/demo/district.json" ]; then rm -rf -- "$$var"; fi; rm -rf .venv

.venv/nightly: requirements.txt
	@"$$PYTHON" -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Homeroom needs Python 3.11, 3.12 or 3.13; say which with PYTHON=python3.12")'
	@test -x $(PY) || { umask 022 && "$$PYTHON" -m venv .venv; }
	@echo "installing what a night needs (once, about a minute) …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@umask 022 && $(PY) -m compileall -q common ingestion operations reverse_etl
	@touch $@

.venv/dev: requirements-dev.txt .venv/nightly
	@echo "installing what the demo and the tests need …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

.DEFAULT_GOAL := help
.PHONY: help setup check demo demo-again demo-next year ingest observe build plan show release undo push verify report replay rehearse status alert nightly explain \
	pause resume backup restore retention compact install audit test chaos month mutants lint bench docs lock audit-deps clean
