// The helper, compiled, against testing.js: node --test test/ behind asc (see package.json).
import assert from "node:assert/strict";
import { test } from "node:test";

import { call } from "../testing.js";

const MODULE = process.env.NEXUS_TEST_MODULE ?? "build/all.wasm";
const ask = (which, more = {}, world = {}) => call(MODULE, { id: "e1", type: "t", data: { case: which, ...more } }, world);

test("an event gives its attributes and data", () => {
  const event = { id: "e1", source: "/s", type: "t", subject: "ä", time: "2026-01-01T00:00:00Z", tier: "gold", data: { case: "attributes" } };
  assert.deepEqual(JSON.parse(call(MODULE, event).output), ["e1", "/s", "t", "ä", "2026-01-01T00:00:00Z", "gold", null, null]);
});

test("JSON comes back as it went", () => {
  for (const value of [null, true, [], {}, [1, -2.5, "q\"\\\n\u0001ä€😀/", { a: { b: [false] } }], 9007199254740992, 1e300]) {
    assert.deepEqual(JSON.parse(ask("json", { value: JSON.stringify(value) }).output), value);
  }
  assert.equal(ask("json", { value: '"\\ud83d\\ude00\\/"' }).output, '"😀/"');
});

test("JSON that is wrong is a trap that says where", () => {
  for (const value of ["", "{", "[1,]", "nul", '"a', "1 2", '{"a" 1}', '"\\x"', "[".repeat(1000)]) {
    const done = ask("json", { value });
    assert.equal(done.outcome, "trap", value);
    assert.match(done.lines[0].text, /not JSON/);
  }
});

test("log lines have level and fields", () => {
  assert.deepEqual(ask("log").lines, [
    { level: "DEBUG", text: "d", fields: {} },
    { level: "INFO", text: "i", fields: { n: 1, b: true, f: 0.5, t: 'x"\n' } },
    { level: "WARN", text: "w", fields: {} },
    { level: "ERROR", text: "e", fields: {} },
  ]);
});

test("events are published with their content type", () => {
  assert.deepEqual(ask("publish").published, [
    { type: "a.b", contentType: "application/json", data: { x: [1, "two"] } },
    { type: "c.d", contentType: "text/plain", data: Buffer.from("hé") },
  ]);
});

test("keys are read, written and deleted", () => {
  const done = ask("keys", {}, { keys: { n: "41", old: "x" } });
  assert.equal(done.output, "[true,true,42,null]");
  assert.deepEqual(Object.keys(done.keys), ["n", "large"]);
  assert.equal(ask("bad key").outcome, "exit");
});

test("clock, random bytes and environment are the world's", () => {
  assert.equal(ask("world", {}, { now: 5n, env: { NAME: "v=1" } }).output, '[5,4,"v=1",true]');
});

test("an answer has a status and headers", () => {
  assert.deepEqual(ask("respond").response, { status: 201, headers: ["Location: /1", "X-A: b"] });
  assert.equal(ask("respond badly").outcome, "exit");
});

test("a failure and an exception are told apart, and logged", () => {
  assert.deepEqual([ask("fail").outcome, ask("fail").lines[0].text], ["exit", "mine"]);
  const thrown = ask("throw");
  assert.deepEqual([thrown.outcome, thrown.lines[0].text], ["trap", "thrown"]);
  assert.match(thrown.lines[0].fields.at, /all\.ts:\d+:\d+$/);
});
