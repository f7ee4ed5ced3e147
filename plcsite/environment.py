"""Where this process runs: the environment, the checkout, and whether it is a test or the demo."""

import sys
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
IS_TEST = "pytest" in sys.modules
IS_DEMO = "demo" in sys.argv[1:2]

env = environ.Env()
