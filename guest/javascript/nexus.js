// nexus: what a Nexus function can ask of its host. In a function it is imported by that name; in a project's own tests,
// under Node, by its path and with testing.js, so that they need no server.
//
//   import { log, publish, kv } from "nexus";
//   export default function (event) {
//     log.info("Processing user event", { user_id: event.data.user_id });
//     publish("user.welcomed", { user_id: event.data.user_id });
//     return { welcomed: true };
//   }
//
// Published events and key-value writes take effect when the function succeeds, all of them and once; when it throws, or
// its promise is rejected, none does, and the event is tried again. The contract is spec/guest-interface.md.

const HOST = Symbol.for("nexus.host");

// Node for which testing.js made no world has no host; the runtime always has one.
function host() {
  const found = globalThis[HOST];
  if (found === undefined) {
    throw new Error("there is no host here: in a test, call newWorld() of testing.js first");
  }
  return found;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function bytesOf(value) {
  if (typeof value === "string") {
    return encoder.encode(value);
  }
  if (value instanceof ArrayBuffer) {
    return new Uint8Array(value);
  }
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw new TypeError("a string, an ArrayBuffer or a view of one is needed");
}

function line(level) {
  return (text, fields) => host().log(level, String(text), fields === undefined ? "" : JSON.stringify(fields));
}

/** Log lines: text, and an object of fields. */
export const log = { debug: line(0), info: line(1), warn: line(2), error: line(3) };

/** Publish an event when the call succeeds: `data` as JSON, or as it is (string or bytes) with a content type. */
export function publish(type, data, contentType) {
  if (contentType === undefined) {
    host().publish(String(type), "application/json", encoder.encode(JSON.stringify(data ?? null)));
  } else {
    host().publish(String(type), String(contentType), bytesOf(data));
  }
}

/** The function's own keys: this call's writes first, then what is committed. */
export const kv = {
  /** The value as text; undefined where there is none. */
  get(key) {
    const bytes = host().kvGet(String(key));
    return bytes === undefined ? undefined : decoder.decode(bytes);
  },
  /** The value as a Uint8Array; undefined where there is none. */
  getBytes: (key) => host().kvGet(String(key)),
  /** The value as JSON; undefined where there is none. */
  getJSON(key) {
    const text = kv.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  },
  /** Write a string or bytes (key 1 to 512 bytes, value up to 512 KiB). */
  set: (key, value) => host().kvSet(String(key), bytesOf(value)),
  setJSON: (key, value) => host().kvSet(String(key), encoder.encode(JSON.stringify(value))),
  delete: (key) => host().kvDelete(String(key)),
};

/** The status (200 to 599) and headers of the answer, whose body is what the handler returns: for functions with
 * `respond: result`. `headers` is an object, whose values may be lists, or a Headers-like iterable of pairs. The last call
 * counts. */
export function respond(status, headers = {}) {
  const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  const lines = pairs.flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${name}: ${one}`));
  if (lines.some((line) => /[\r\n]/.test(line))) {
    throw new TypeError("a header's value has a line break");
  }
  host().respond(Number(status), lines.join("\n"));
}

/** Nanoseconds since 1970, as a BigInt. Date works too; a replay gives both the same again. */
export const now = () => host().now();

/** So many random bytes; a replay gives the same again. */
export const random = (count) => host().random(count);

/** An environment variable: the manifest's `env`, and TRACE_ID, NEXUS_EVENT_ID, NEXUS_IS_REPLAY … */
export const env = (name) => host().env(String(name));
