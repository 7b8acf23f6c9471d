# The two commands of the README, and the benchmark. Each makes .venv first (devstack/bootstrap.py).
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: demo test bench

demo:
	@$(PYTHON) -m devstack demo $(ARGS)

test:
	@$(PYTHON) -m devstack test $(ARGS)

bench:
	@$(PYTHON) -m devstack bench $(ARGS)
