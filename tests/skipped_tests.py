"""Prints the tests that runs have skipped, one a line, as `pytest @FILE` takes them.

python tests/skipped_tests.py JUNIT.XML ...
"""

import sys
import xml.etree.ElementTree

from junit import node

reports = map(xml.etree.ElementTree.parse, sys.argv[1:])
cases = (case for report in reports for case in report.iter("testcase"))
skipped = [case for case in cases if case.find("skipped") is not None]
print(*dict.fromkeys(map(node, skipped)), sep="\n")
