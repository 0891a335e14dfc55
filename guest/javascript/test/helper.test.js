// The helper against its own world: no server, no WebAssembly.
import assert from "node:assert/strict";
import { test } from "node:test";

import { env, kv, log, now, publish, random, respond } from "../nexus.js";
import { newWorld } from "../testing.js";

test("without a world there is no host, and it says so", () => {
  assert.throws(() => log.info("x"), /newWorld/);
});

test("log lines have level and fields", () => {
  const world = newWorld();
  log.info("Processing", { user_id: "u42", visits: 3 });
  log.error("no fields");
  assert.deepEqual(world.lines, [
    { level: "INFO", text: "Processing", fields: { user_id: "u42", visits: 3 } },
    { level: "ERROR", text: "no fields", fields: {} },
  ]);
});

test("events are published as JSON, or as they are", () => {
  const world = newWorld();
  publish("user.welcomed", { user_id: "u42" });
  publish("image.made", new Uint8Array([0x89]), "image/png");
  publish("nothing.said", undefined);
  assert.deepEqual(world.published, [
    { type: "user.welcomed", contentType: "application/json", data: { user_id: "u42" } },
    { type: "image.made", contentType: "image/png", data: new Uint8Array([0x89]) },
    { type: "nothing.said", contentType: "application/json", data: null },
  ]);
  assert.throws(() => publish("", {}), /not allowed/);
});

test("keys are read, written and deleted", () => {
  const world = newWorld({ keys: { n: "41" } });
  assert.equal(kv.get("k"), undefined);
  assert.equal(kv.getJSON("n"), 41);
  kv.set("k", "ä");
  assert.equal(kv.get("k"), "ä");
  assert.deepEqual(kv.getBytes("k"), new Uint8Array([0xc3, 0xa4]));
  kv.setJSON("o", { a: [1] });
  assert.deepEqual(kv.getJSON("o"), { a: [1] });
  kv.set("b", new Uint16Array([0x4241]));
  assert.deepEqual(world.keys, { n: "41", k: "ä", o: '{"a":[1]}', b: "AB" });
  kv.delete("k");
  assert.equal(kv.get("k"), undefined);
  assert.throws(() => kv.set("", "x"), /not allowed/);
  assert.throws(() => kv.set("k", 7), TypeError);
});

test("clock, random bytes and environment are the world's", () => {
  newWorld({ now: 1_700_000_000_000_000_000n, env: { TRACE_ID: "t" } });
  assert.equal(now(), 1_700_000_000_000_000_000n);
  assert.equal(env("TRACE_ID"), "t");
  assert.equal(env("NONE"), undefined);
  const first = random(16);
  assert.notDeepEqual(first, random(16));
  newWorld();
  assert.deepEqual(random(16), first);
});

test("an answer has a status and headers", () => {
  const world = newWorld();
  respond(500);
  respond(201, { Location: "/notes/1", "Set-Cookie": ["a=1", "b=2"] });
  assert.deepEqual(world.response, { status: 201, headers: ["Location: /notes/1", "Set-Cookie: a=1", "Set-Cookie: b=2"] });
  respond(200, new Map([["X-A", "1"]]));
  assert.deepEqual(world.response, { status: 200, headers: ["X-A: 1"] });
  assert.throws(() => respond(99), /not allowed/);
  assert.throws(() => respond(200, { "X-A": "1\r\nX-B: 2" }), TypeError);
});
