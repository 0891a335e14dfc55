// Every API that the guide's table names, with answers that Node gives too: the test runs this under both.
import { Buffer as Imported } from "node:buffer";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const attempt = (work) => {
  try {
    return work();
  } catch (error) {
    return error.name;
  }
};

function text() {
  const decoder = new TextDecoder();
  const parts = [decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), decoder.decode(new Uint8Array([0xac]))];
  return {
    encoded: hex(new TextEncoder().encode("aä€😀")),
    into: new TextEncoder().encodeInto("ä€", new Uint8Array(4)),
    lone: hex(new TextEncoder().encode("\ud800")),
    parts,
    bom: new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])),
    bad: new TextDecoder().decode(new Uint8Array([0x61, 0xff, 0x62])),
    fatal: attempt(() => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff]))),
    utf16: new TextDecoder("utf-16le").decode(new Uint8Array([0x61, 0, 0xac, 0x20])),
    unknown: attempt(() => new TextDecoder("klingon")),
  };
}

const describe = (url) => [url.href, url.origin, url.protocol, url.username, url.password, url.host, url.hostname, url.port,
  url.pathname, url.search, url.hash];

function urls() {
  const url = new URL("https://Example.com:443/a/./b/../c d?q=1&r=a b#frag ment");
  const changed = new URL("http://h/p?x=1");
  changed.searchParams.append("y", "a&b");
  changed.pathname = "/new path";
  changed.hash = "top";
  changed.port = "8080";
  changed.protocol = "https";
  const params = new URLSearchParams({ b: "2", a: "ä b" });
  params.append("a", "1");
  params.sort();
  return {
    seen: describe(url),
    user: describe(new URL("http://us%20er:pa:ss@host:81/")),
    relative: ["../x", "/y", "?q", "#h", "//other/z", "z:opaque", ""].map((part) => new URL(part, "http://h/a/b/c?d#e").href),
    changed: changed.href,
    broken: ["http://", "nothing", "http://a b/", "http://h:99999/", "//h"].map((part) => URL.canParse(part)),
    params: [params.toString(), params.getAll("a"), params.has("b"), params.get("none"), [...params.keys()], params.size],
    decoded: [...new URLSearchParams("?a=1+2&b=%C3%A4&c&=d")],
    json: JSON.stringify({ url: new URL("data:text/plain,hi") }),
    ipv6: new URL("http://[::1]:80/").host,
    windows: new URL("http:\\\\h\\p").href,
  };
}

function buffers() {
  const buffer = Buffer.from("héllo wörld");
  const numbers = Buffer.alloc(16);
  numbers.writeUInt16BE(0x1234, 0);
  numbers.writeInt32LE(-5, 2);
  numbers.writeDoubleBE(1.5, 8);
  return {
    same: Imported === Buffer,
    forms: ["utf8", "hex", "base64", "base64url", "latin1", "ascii", "utf16le"].map((name) => buffer.toString(name)),
    from: ["68c3a9", "zz", "6"].map((part) => hex(Buffer.from(part, "hex"))),
    base64: ["aGk=", "aGk", "_-8", "a b c d"].map((part) => hex(Buffer.from(part, "base64"))),
    numbers: [hex(numbers), numbers.readUInt16BE(0), numbers.readInt32LE(2), numbers.readDoubleBE(8), numbers.readUInt8(1)],
    joined: Buffer.concat([Buffer.from("a"), Buffer.from("bc")]).toString(),
    shared: ((part) => ((part[0] = 0x48), buffer.toString()))(buffer.slice(0, 1)),
    found: [buffer.indexOf("w"), buffer.includes("nothing"), buffer.indexOf(0x6c), Buffer.byteLength("€")],
    compared: [Buffer.compare(Buffer.from("a"), Buffer.from("b")), Buffer.from("a").equals(Buffer.from("a"))],
    json: JSON.stringify(Buffer.from([1, 2])),
    filled: Buffer.alloc(5, "ab").toString(),
    kinds: [Buffer.isBuffer(buffer), Buffer.isBuffer(new Uint8Array(1)), buffer instanceof Uint8Array, Buffer.isEncoding("hex")],
    atob: [atob("aGk="), btoa("hi"), attempt(() => btoa("€"))],
  };
}

async function cryptography() {
  const data = new TextEncoder().encode("abc".repeat(100));
  const digests = {};
  for (const name of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
    for (const size of [0, 55, 56, 111, 112, 128, 300]) {
      digests[`${name}/${size}`] = hex(await crypto.subtle.digest(name, data.subarray(0, size)));
    }
  }
  const uuid = crypto.randomUUID();
  return {
    digests,
    unknown: await crypto.subtle.digest("MD5", data).catch((error) => error.name),
    random: crypto.getRandomValues(new Uint32Array(4)).length,
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid),
    math: Math.random() !== Math.random(),
  };
}

function clones() {
  const circle = { date: new Date(5), map: new Map([[1, new Set(["a"])]]), bytes: new Uint8Array([1, 2]), re: /x/gi, none: undefined };
  circle.self = circle;
  const copy = structuredClone(circle);
  return {
    circle: copy.self === copy && copy !== circle,
    values: [copy.date.getTime(), [...copy.map.get(1)], [...copy.bytes], String(copy.re), "none" in copy],
    error: ((error) => [error instanceof TypeError, error.message])(structuredClone(new TypeError("m"))),
    refused: attempt(() => structuredClone(() => 1)),
  };
}

async function timers() {
  const order = [];
  setTimeout(() => order.push("10"), 10);
  setTimeout((value) => order.push(value), 1, "1");
  clearTimeout(setTimeout(() => order.push("never"), 2));
  queueMicrotask(() => order.push("microtask"));
  process.nextTick(() => order.push("tick"));
  let rounds = 0;
  await new Promise((resolve) => {
    const every = setInterval(() => {
      rounds += 1;
      if (rounds === 3) {
        clearInterval(every);
        resolve();
      }
    }, 8);
  });
  const before = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 20));
  return { first: order.slice(-2), rounds, waited: performance.now() - before >= 19, all: order.length };
}

export default async function (event) {
  console.log("seen %s", event.id, { deep: [1, { a: "b" }] });
  return {
    text: text(), urls: urls(), buffers: buffers(), crypto: await cryptography(), clones: clones(), timers: await timers(),
    language: [[1, 2, 3].at(-1), Object.fromEntries([["a", 1]]), "aXbX".replaceAll("X", "-"),
      [3, 1].toSorted(), 2n ** 70n + ""],
    dates: [new Date(0).toISOString(), new Date("2026-03-29T10:00:00+02:00").getTime(), Date.UTC(2026, 1, 28)],
    regexp: "2026-11-21".match(/(?<year>\d+)-(?<month>\d+)/).groups.month,
  };
}
