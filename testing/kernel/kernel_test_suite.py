"""Runs the tests of jupyter_kernel_test on a kernel and prints, as JSON, how each ended.

usage: kernel_test_suite.py KERNEL_NAME (javascript | python) [html snippet]
"""

import json
import sys
import unittest

import jupyter_kernel_test

NAME, LANGUAGE, HTML = sys.argv[1], sys.argv[2], sys.argv[3]

JAVASCRIPT = dict(
    code_hello_world='console.log("hello, world")',
    code_stderr='console.error("test")',
    completion_samples=[{"text": "Math.sqr", "matches": {"sqrt"}}, {"text": "JSON.strin", "matches": {"stringify"}}],
    complete_code_samples=["1", "const a = [1, 2]", "console.log('hello')"],
    incomplete_code_samples=["for (const x of [1]) {", "`a ${1}", "f("],
    invalid_code_samples=["let = = 3", "f)", '"abc'],
    code_generate_error="throw new Error('x')",
    code_execute_result=[{"code": "1 + 2 + 3", "result": "6"}],
    code_display_data=[{"code": HTML, "mime": "text/html"}],
    supported_history_operations=("tail", "range", "search"),
    code_history_pattern="1 ? 2*",
    code_inspect_sample="Math.max",
    code_clear_output=None,
)
PYTHON = dict(
    code_hello_world='print("hello, world")',
    code_stderr='import sys; print("test", file=sys.stderr)',
    completion_samples=[{"text": "zi", "matches": {"zip"}}],
    complete_code_samples=["1", "print('hello, world')", "def f(x):\n  return x*2\n\n"],
    incomplete_code_samples=["print('''hello", "def f(x):\n  x*2"],
    invalid_code_samples=["import = 7q"],
    code_generate_error="raise ValueError('x')",
    code_execute_result=[{"code": "1 + 2 + 3", "result": "6"}],
    code_display_data=[{"code": HTML, "mime": "text/html"}],
    supported_history_operations=("tail", "range", "search"),
    code_history_pattern="1 ? 2*",
    code_inspect_sample="zip",
    code_clear_output="from IPython.display import clear_output; clear_output()",
)
samples = dict(JAVASCRIPT if LANGUAGE == "javascript" else PYTHON)
if LANGUAGE == "javascript":
    samples["code_clear_output"] = sys.argv[4] if len(sys.argv) > 4 else ""


def plain(text):
    """Without the colours that kernels give to values."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class Suite(jupyter_kernel_test.KernelTests):
    kernel_name = NAME

    def execute_helper(self, *args, **kwargs):
        reply, messages = super().execute_helper(*args, **kwargs)
        for message in messages:
            data = message["content"].get("data", {})
            if "text/plain" in data:
                data["text/plain"] = plain(data["text/plain"])
        return reply, messages


for name, value in samples.items():
    setattr(Suite, name, value)


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, outcome, words=""):
        name = getattr(test, "_testMethodName", None) or getattr(getattr(test, "test_case", None), "_testMethodName", str(test))
        if self.outcomes.get(name, ["yes"])[0] == "yes":
            self.outcomes[name] = [outcome, words.strip().split("\n")[-1]]

    def addSuccess(self, test):
        self.note(test, "yes")

    def addFailure(self, test, err):
        self.note(test, "no", self._exc_info_to_string(err, test))

    def addError(self, test, err):
        self.note(test, "no", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, "no", self._exc_info_to_string(err, test))


result = Result()
unittest.defaultTestLoader.loadTestsFromTestCase(Suite).run(result)
print(json.dumps(result.outcomes))
