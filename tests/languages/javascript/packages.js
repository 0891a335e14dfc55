// Pure packages from npm, bundled; the test runs this under Node too, and compares.
import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import Mustache from "mustache";
import semver from "semver";
import { v5, validate, version, v4 } from "uuid";
import { parse, stringify } from "yaml";

dayjs.extend(utc);

export default function (event) {
  return {
    dayjs: dayjs.utc("2026-11-21T10:00:00Z").add(3, "month").format("YYYY-MM-DD dddd HH:mm"),
    mustache: Mustache.render("{{#users}}<{{name}}>{{/users}}{{^none}}!{{/none}}", { users: [{ name: "a&b" }, { name: "c" }] }),
    semver: [semver.satisfies("1.2.3", "^1.0.0 || >2"), semver.inc("1.2.3", "minor"), semver.sort(["2.0.0", "1.10.0", "1.9.0"])],
    uuid: [v5("nexus", v5.URL), validate(v4()), version(v4())],
    yaml: [parse("a: [1, {b: 2}]\nc: |\n  text\n"), stringify({ x: [1, "two"], event: event.id })],
  };
}
