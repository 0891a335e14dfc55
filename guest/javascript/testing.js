// testing.js: a world for unit tests under Node; the helper's calls are answered from here.
//
//   import { test } from "node:test";
//   import { newWorld } from "../nexus/testing.js";
//   import welcome from "../src/welcome.js";
//
//   const world = newWorld({ keys: { "visits.u42": "3" } });
//   await welcome({ id: "1", type: "user.created", data: { user_id: "u42" } });
//   assert.deepEqual(world.published, []);

const HOST = Symbol.for("nexus.host");
const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function checkName(name) {
  const size = encoder.encode(name).length;
  if (size < 1 || size > 512) {
    throw new Error("nexus: an argument is not allowed");
  }
}

/** Begin with a new world: keys as text, the time in nanoseconds, environment. What the function did is in `lines`,
 * `published` (data parsed where it is JSON), `response` (status and header lines, undefined without one) and `keys`. */
export function newWorld({ keys = {}, now = 0n, env = {} } = {}) {
  const stored = new Map(Object.entries(keys).map(([key, value]) => [key, encoder.encode(value)]));
  const world = {
    lines: [],
    published: [],
    response: undefined,
    get keys() {
      return Object.fromEntries([...stored].map(([key, value]) => [key, decoder.decode(value)]));
    },
  };
  let state = 1;
  globalThis[HOST] = {
    log: (level, text, fields) =>
      void world.lines.push({ level: LEVELS[level], text, fields: fields === "" ? {} : JSON.parse(fields) }),
    publish(type, contentType, bytes) {
      checkName(type);
      const isJson = contentType === "application/json";
      world.published.push({ type, contentType, data: isJson ? JSON.parse(decoder.decode(bytes)) : bytes });
    },
    respond(status, headers) {
      if (!(status >= 200 && status <= 599)) {
        throw new Error("nexus: an argument is not allowed");
      }
      world.response = { status, headers: headers === "" ? [] : headers.split("\n") };
    },
    kvGet(key) {
      checkName(key);
      return stored.get(key)?.slice();
    },
    kvSet(key, value) {
      checkName(key);
      stored.set(key, value.slice());
    },
    kvDelete(key) {
      checkName(key);
      stored.delete(key);
    },
    now: () => now,
    random(count) {
      return Uint8Array.from({ length: count }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
      });
    },
    env: (name) => env[name],
  };
  return world;
}
