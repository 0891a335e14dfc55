"""tools/run_tests.py counts what is in the results, and lets no skip pass in silence."""

import run_tests

REPORT = """<testsuites><testsuite name="s">
<testcase classname="nexus.wal" name="1 - test_good"/>
<testcase classname="nexus.wal" name="test_bad"><failure message="no"/></testcase>
<testcase classname="tests.crash.test_kill" name="test_broken"><error message="no"/></testcase>
<testcase classname="tests.crash.test_kill" name="test_later"><skipped message="no disk"/></testcase>
</testsuite></testsuites>"""


def tally_of(tmp_path, text=REPORT):
    path = tmp_path / "report.xml"
    path.write_text(text)
    tally = run_tests.Tally()
    return tally, tally.add_junit("crash", path)


def test_counts_by_name(tmp_path):
    tally, _ = tally_of(tmp_path)
    assert tally.passed == ["crash/wal/test_good"]
    assert tally.failed == ["crash/wal/test_bad", "crash/test_kill/test_broken"]
    assert tally.skipped == [("crash/test_kill/test_later", "no disk")]


def test_a_damaged_report_is_no_result(tmp_path):
    assert not tally_of(tmp_path, "<testsuites>")[1]
    assert not run_tests.Tally().add_junit("unit", tmp_path / "missing.xml")


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


def test_the_last_line_counts(tmp_path, capsys):
    tally, _ = tally_of(tmp_path)
    assert run_tests.summary(tally, strict=False) == 1
    assert last_line(capsys) == "1 passed, 2 failed, 1 skipped"


def test_an_unlisted_skip_fails_in_continuous_integration(capsys):
    tally = run_tests.Tally()
    tally.passed, tally.skipped = ["a"], [("crash/no/such_test", "because")]
    assert run_tests.summary(tally, strict=False) == 0
    assert run_tests.summary(tally, strict=True) == 1
    assert last_line(capsys) == "1 passed, 1 failed, 1 skipped"


def test_no_test_at_all_is_a_failure(capsys):
    assert run_tests.summary(run_tests.Tally(), strict=False) == 1
    assert last_line(capsys) == "0 passed, 1 failed, 0 skipped"


def test_a_skip_needs_a_reason(tmp_path):
    path = tmp_path / "skips.txt"
    path.write_text("# comment: x\ncrash/a: no kernel support\ncrash/b:\ncrash/c\n")
    assert run_tests.allowed_skips(path) == {"crash/a": "no kernel support"}
