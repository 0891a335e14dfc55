// testing.js: a world for tests under Node: calls a compiled module with an event, and tells what it did. No server.
//
//   const done = call("build/welcome.wasm", { id: "1", data: { user_id: "u42" } }, { keys: { "visits.u42": "3" } });
//   assert.equal(done.outcome, "ok");
//   assert.deepEqual(done.published, []);
import { readFileSync } from "node:fs";

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"];
class Exit extends Error {}

/** Run the module's handle_event. What comes back: outcome ("ok", "exit" or "trap"), output, lines, published,
 * response (where it said something of its answer), keys. */
export function call(path, event, { keys = {}, now = 0n, env = {} } = {}) {
  const stored = new Map(Object.entries(keys).map(([key, value]) => [key, Buffer.from(value)]));
  const input = Buffer.from(JSON.stringify(event));
  const entries = Object.entries(env).map(([name, value]) => Buffer.from(`${name}=${value}\0`));
  const done = { outcome: "ok", output: "", lines: [], published: [] };
  let at = 0;
  let seed = 1;
  let memory;
  const bytes = (address, size) => Buffer.from(memory.buffer, address, size);
  const text = (address, size) => bytes(address, size).toString();
  const store = (address, value) => new DataView(memory.buffer).setUint32(address, value, true);
  const part = (address) => bytes(...[0, 4].map((i) => new DataView(memory.buffer).getUint32(address + i, true)));
  const isName = (size) => size >= 1 && size <= 512;
  const nexus = {
    log(level, a, b, c, d) {
      done.lines.push({ level: LEVELS[level], text: text(a, b), fields: d === 0 ? {} : JSON.parse(text(c, d)) });
      return 0;
    },
    publish(a, b, c, d, e, f) {
      if (!isName(b)) return 28;
      const contentType = text(c, d) || "application/json";
      const data = contentType === "application/json" ? JSON.parse(text(e, f)) : Buffer.from(bytes(e, f));
      done.published.push({ type: text(a, b), contentType, data });
      return 0;
    },
    respond(status, a, b) {
      if (status < 200 || status > 599) return 28;
      done.response = { status, headers: text(a, b).split(/\r?\n/).filter((line) => line !== "") };
      return 0;
    },
    kv_get(a, b, buffer, size, length) {
      if (!isName(b)) return 28;
      const value = stored.get(text(a, b));
      store(length, value?.length ?? 0);
      if (value === undefined) return 44;
      if (value.length > size) return 61;
      bytes(buffer, value.length).set(value);
      return 0;
    },
    kv_set: (a, b, c, d) => (isName(b) ? (stored.set(text(a, b), Buffer.from(bytes(c, d))), 0) : 28),
    kv_delete: (a, b) => (isName(b) ? (stored.delete(text(a, b)), 0) : 28),
    now: () => now,
    random(a, b) {
      for (const i of bytes(a, b).keys()) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        bytes(a, b)[i] = seed >>> 24;
      }
      return 0;
    },
  };
  const wasi = {
    fd_read(_, parts, count, read) {
      const target = part(parts);
      const size = input.copy(target, 0, at);
      at += size;
      store(read, size);
      return 0;
    },
    fd_write(_, parts, count, written) {
      const source = part(parts);
      done.output += source.toString();
      store(written, source.length);
      return 0;
    },
    environ_sizes_get(count, size) {
      store(count, entries.length);
      store(size, Buffer.concat(entries).length);
      return 0;
    },
    environ_get(pointers, address) {
      for (const [i, entry] of entries.entries()) {
        store(pointers + 4 * i, address);
        bytes(address, entry.length).set(entry);
        address += entry.length;
      }
      return 0;
    },
    proc_exit(status) {
      done.outcome = status === 0 ? "ok" : "exit";
      throw new Exit();
    },
  };
  const module = new WebAssembly.Module(readFileSync(path));
  const { exports } = new WebAssembly.Instance(module, { nexus, wasi_snapshot_preview1: wasi });
  memory = exports.memory;
  try {
    done.outcome = exports.handle_event() === 0 ? "ok" : "exit";
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) {
      done.outcome = "trap";
    } else if (!(error instanceof Exit)) {
      throw error;
    }
  }
  done.keys = Object.fromEntries([...stored].map(([key, value]) => [key, value.toString()]));
  return done;
}
