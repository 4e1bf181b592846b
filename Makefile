# make book: build the HTML.  make test: run every check.  Both install what they need into .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

unexport PYTHONDONTWRITEBYTECODE

.PHONY: book test colab grading mutants notebooks results repository withhold lint clean

book: $(INSTALLED)
	$(BIN)/jupyter-book build .
	@echo "Open _build/html/index.html"

test: $(INSTALLED)
	$(BIN)/python -m pytest --nbval

# Execute the notebooks and store their outputs; ONLY="book/01_plain_stack.ipynb" for some of them.
notebooks: $(INSTALLED)
	$(BIN)/python tools/execute.py $(ONLY)

# Record the paper's experiment (chapter 9), or what is left of it: hours on a GPU. ARGS="--nets cifar_plain56 --seeds 1"
# restricts it, ARGS="--scale small --jobs 2" is what two CPU cores can do.
results: $(INSTALLED)
	$(BIN)/python experiments/paper.py --scale full $(ARGS)

# Run every notebook as Colab would, on two versions of torch; its environments, .venv-colab-*, take 5 GB each.
colab: $(INSTALLED)
	$(BIN)/python tools/colab.py $(ONLY)

# Test the grading for instructors (grading/README.md); nbgrader is added to the same environment first.
grading: $(VENV)/.grading
	$(BIN)/python -m pytest tests/grading

# Derive wrong answers from the solutions and print how many of them each check rejects; ONLY="ex_4_2" for one exercise.
mutants: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore tools/mutants.py $(ONLY)

# Write this copy's address into the notebooks and CITATION.cff: make repository URL=https://github.com/you/your-fork
# It needs nothing installed.
repository:
	@$(PYTHON) tools/repository.py "$(URL)"

# Take the solutions out of this copy, for a class; appendix B says how to publish it.
withhold: $(INSTALLED)
	$(BIN)/python tools/withhold.py

# Mend what ruff can mend, and say what it cannot.
lint: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf _build

# Byte-compiling halves the time to import torch; a package may carry a file that does not compile, which is no matter.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	-@$(BIN)/python -m compileall -q $(VENV)/lib > /dev/null
	@touch $@

$(VENV)/.grading: $(INSTALLED) grading/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r grading/requirements.txt
	@touch $@
