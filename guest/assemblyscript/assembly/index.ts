// nexus: what a Nexus function can ask of its host, beyond WASI. Nothing is depended on but AssemblyScript itself.
//
//   import { Event, Json, fail, log, publish, run } from "../nexus/assembly/index";
//   function welcome(event: Event): string {
//     const user = event.data.get("user_id").asString();
//     if (user == "") fail("The event has no user_id");
//     log.info("Processing user event", Json.object().set("user_id", user));
//     publish("user.welcomed", Json.object().set("user_id", user));
//     return Json.object().set("welcomed", user).toString();
//   }
//   export function handle_event(): i32 {
//     return run(welcome);
//   }
//
// Published events and key-value writes take effect when the function succeeds, all of them and once; when it fails, none
// does, and the event is tried again. Compile with --use abort=nexus/assembly/index/abort, so that what is thrown is logged.
// The contract is spec/guest-interface.md.
import { Json } from "./json";
export { Json };

// @ts-ignore: decorator
@external("nexus", "log")
declare function hostLog(level: i32, text: usize, textSize: usize, fields: usize, fieldsSize: usize): i32;
// @ts-ignore: decorator
@external("nexus", "publish")
declare function hostPublish(type: usize, typeSize: usize, contentType: usize, contentTypeSize: usize, data: usize, dataSize: usize): i32;
// @ts-ignore: decorator
@external("nexus", "respond")
declare function hostRespond(status: i32, headers: usize, headersSize: usize): i32;
// @ts-ignore: decorator
@external("nexus", "kv_get")
declare function hostGet(key: usize, keySize: usize, buffer: usize, size: usize, length: usize): i32;
// @ts-ignore: decorator
@external("nexus", "kv_set")
declare function hostSet(key: usize, keySize: usize, value: usize, valueSize: usize): i32;
// @ts-ignore: decorator
@external("nexus", "kv_delete")
declare function hostDelete(key: usize, keySize: usize): i32;
// @ts-ignore: decorator
@external("nexus", "now")
declare function hostNow(): i64;
// @ts-ignore: decorator
@external("nexus", "random")
declare function hostRandom(bytes: usize, size: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fdRead(descriptor: i32, parts: usize, count: i32, read: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fdWrite(descriptor: i32, parts: usize, count: i32, written: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environSizes(count: usize, size: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "environ_get")
declare function environGet(pointers: usize, bytes: usize): i32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function procExit(status: i32): void;

const words = memory.data(16); // what a host function writes: a length, or an address and a length

function addressOf(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

/** End the function as failed: the text is logged with level ERROR, no effect is made, and the event is tried again. */
export function fail(text: string): void {
  log.error(text);
  procExit(1);
  unreachable();
}

/** What AssemblyScript calls for an exception or a failed assertion: logged, then the call ends as a trap. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const where = Json.object().set("at", (file ? file : "?") + ":" + line.toString() + ":" + column.toString());
  log.error(message ? message : "aborted", where);
  unreachable();
}

function check(errno: i32, what: string): void {
  if (errno != 0) {
    fail(what + (errno == 28 ? ": an argument is not allowed" : ": the host answered with errno " + errno.toString()));
  }
}

function line(level: i32, text: string, fields: Json | null): void {
  const bytes = String.UTF8.encode(text);
  const object = String.UTF8.encode(fields ? fields.toString() : "");
  hostLog(level, addressOf(bytes), bytes.byteLength, addressOf(object), object.byteLength);
}

/** Log lines: text, and an object of fields. */
export namespace log {
  export function debug(text: string, fields: Json | null = null): void {
    line(0, text, fields);
  }
  export function info(text: string, fields: Json | null = null): void {
    line(1, text, fields);
  }
  export function warn(text: string, fields: Json | null = null): void {
    line(2, text, fields);
  }
  export function error(text: string, fields: Json | null = null): void {
    line(3, text, fields);
  }
}

/** Publish an event of this type with JSON as its data, when the call succeeds. */
export function publish(type: string, data: Json): void {
  publishAs(type, "application/json", String.UTF8.encode(data.toString()));
}

/** Publish an event whose data is of any content type. */
export function publishAs(type: string, contentType: string, data: ArrayBuffer): void {
  const name = String.UTF8.encode(type);
  const kind = String.UTF8.encode(contentType);
  check(hostPublish(addressOf(name), name.byteLength, addressOf(kind), kind.byteLength, addressOf(data), data.byteLength), "publish");
}

/** The status (200 to 599) and headers of the answer, whose body is what the handler returns: for functions with
 * `respond: result`. Headers are lines: "Location: /notes/1\nX-Total: 3". The last call counts. */
export function respond(status: i32, headers: string = ""): void {
  const lines = String.UTF8.encode(headers);
  check(hostRespond(status, addressOf(lines), lines.byteLength), "respond");
}

/** The function's own keys: this call's writes first, then what is committed. */
export namespace kv {
  /** The value as bytes; null where there is none. */
  export function getBytes(key: string): ArrayBuffer | null {
    const name = String.UTF8.encode(key);
    let value = new ArrayBuffer(1024);
    let errno = hostGet(addressOf(name), name.byteLength, addressOf(value), value.byteLength, words);
    if (errno == 61) {
      value = new ArrayBuffer(load<i32>(words));
      errno = hostGet(addressOf(name), name.byteLength, addressOf(value), value.byteLength, words);
    }
    if (errno == 44) return null;
    check(errno, "kv.get");
    return value.slice(0, load<i32>(words));
  }
  /** The value as text; null where there is none. */
  export function get(key: string): string | null {
    const value = getBytes(key);
    return value ? String.UTF8.decode(value) : null;
  }
  /** The value as JSON; Json.NULL where there is none. */
  export function getJson(key: string): Json {
    const text = get(key);
    return text ? Json.parse(text) : Json.NULL;
  }
  /** Write a key (1 to 512 bytes; the value up to 512 KiB), when the call succeeds. */
  export function setBytes(key: string, value: ArrayBuffer): void {
    const name = String.UTF8.encode(key);
    check(hostSet(addressOf(name), name.byteLength, addressOf(value), value.byteLength), "kv.set");
  }
  export function set(key: string, value: string): void {
    setBytes(key, String.UTF8.encode(value));
  }
  /** Delete a key. Deleting what is not there is no error. */
  export function remove(key: string): void {
    const name = String.UTF8.encode(key);
    check(hostDelete(addressOf(name), name.byteLength), "kv.remove");
  }
}

/** Wall time in nanoseconds since 1970; a replay gives the same again. */
export function now(): i64 {
  return hostNow();
}

/** So many random bytes (at most 1 MiB); a replay gives the same again. */
export function random(count: i32): Uint8Array {
  const bytes = new Uint8Array(count);
  check(hostRandom(bytes.dataStart, count), "random");
  return bytes;
}

/** An environment variable: the manifest's `env`, and TRACE_ID, NEXUS_EVENT_ID …; null where there is none. */
export function env(name: string): string | null {
  environSizes(words, words + 4);
  const count = load<u32>(words);
  const pointers = new ArrayBuffer(4 * count);
  const bytes = new ArrayBuffer(load<u32>(words + 4));
  environGet(addressOf(pointers), addressOf(bytes));
  for (let i: u32 = 0; i < count; i++) {
    const at = load<u32>(addressOf(pointers) + 4 * i);
    let size = 0;
    while (load<u8>(at + size) != 0) size++;
    const entry = String.UTF8.decodeUnsafe(at, size);
    if (entry.startsWith(name + "=")) return entry.slice(name.length + 1);
  }
  return null;
}

/** The CloudEvent that the function was called for. */
export class Event {
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  /** Its data where that is JSON or text; Json.NULL where it is binary (attribute `data_base64`). */
  data: Json;
  constructor(private whole: Json) {
    this.id = whole.get("id").asString();
    this.source = whole.get("source").asString();
    this.type = whole.get("type").asString();
    this.subject = whole.get("subject").asString();
    this.time = whole.get("time").asString();
    this.data = whole.get("data");
  }
  /** Any member of the event, such as an extension attribute; Json.NULL where there is none. */
  attribute(name: string): Json {
    return this.whole.get(name);
  }
}

function readInput(): string {
  let buffer = new ArrayBuffer(16384);
  let size: i32 = 0;
  while (true) {
    if (buffer.byteLength - size < 4096) {
      const larger = new ArrayBuffer(2 * buffer.byteLength);
      memory.copy(addressOf(larger), addressOf(buffer), size);
      buffer = larger;
    }
    store<u32>(words, addressOf(buffer) + size);
    store<u32>(words + 4, buffer.byteLength - size);
    if (fdRead(0, words, 1, words + 8) != 0) fail("the event cannot be read");
    const read = load<i32>(words + 8);
    if (read == 0) return String.UTF8.decodeUnsafe(addressOf(buffer), size);
    size += read;
  }
}

function writeOutput(text: string): void {
  const bytes = String.UTF8.encode(text);
  let at: i32 = 0;
  while (at < bytes.byteLength) {
    store<u32>(words, addressOf(bytes) + at);
    store<u32>(words + 4, bytes.byteLength - at);
    if (fdWrite(1, words, 1, words + 8) != 0) fail("the output cannot be written");
    at += load<i32>(words + 8);
  }
}

/** Read the event, call the handler, print what it returns. The result is handle_event's. */
export function run(handler: (event: Event) => string): i32 {
  writeOutput(handler(new Event(Json.parse(readInput()))));
  return 0;
}
