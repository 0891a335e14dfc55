// guest/javascript/runtime/url.js: URL and URLSearchParams, after the WHATWG's standard; what is left out stands in the guide's
// table. Evaluated behind prelude.js, with the same host.
(function (host) {
  "use strict";
  const same = (bytes) => Buffer.from(bytes).toString("latin1");
  const PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21", "file:": "" };
  const escape = (text, kept) =>
    text.replace(kept, (c) => Array.from(host.encode(c.toWellFormed()), (b) => `%${b.toString(16).toUpperCase().padStart(2, "0")}`).join(""));
  const PATH = /[^!$%&'()*+,\-./0-9:;=@A-Z_a-z~|[\]]/gu;
  const QUERY = /[^!$%&()*+,\-./0-9:;=?@A-Z_a-z~{}|[\]\\^`']/gu;
  const FRAGMENT = /[^!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~{}|[\]\\^]/gu;
  const USER = /[^!$%&'()*+,\-.0-9A-Z_a-z~]/gu;
  function plain(path) {
    const parts = [];
    const all = path.split("/");
    all.forEach((part, i) => {
      const lower = part.toLowerCase().replaceAll("%2e", ".");
      if (lower === "..") {
        if (parts.length > 1) {
          parts.pop();
        }
        if (i === all.length - 1) {
          parts.push("");
        }
      } else if (lower === ".") {
        if (i === all.length - 1) {
          parts.push("");
        }
      } else {
        parts.push(part);
      }
    });
    return parts.join("/");
  }
  function hostName(text, special) {
    if (text.startsWith("[")) {
      if (!/^\[[0-9a-f:.]+\]$/i.test(text)) {
        return undefined;
      }
      return text.toLowerCase();
    }
    if (!special) {
      return /[\s#/<>?@[\\\]^|]/.test(text) ? undefined : escape(text, /[^!-~]/gu);
    }
    let name;
    try {
      name = decodeURIComponent(text).normalize("NFC").toLowerCase();
    } catch {
      return undefined;
    }
    if (/[\s#%/:<>?@[\\\]^`{|}]/.test(name) || /[^\0-\x7f]/.test(name)) {
      return undefined; // names of other scripts: write them as xn--…
    }
    const numbers = name.split(".");
    if (numbers.every((n) => /^\d+$/.test(n)) && numbers.length === 4 && numbers.some((n) => Number(n) > 255)) {
      return undefined;
    }
    return name;
  }
  function parse(text, base) {
    const clean = text.replace(/^[\0- ]+|[\0- ]+$/g, "").replace(/[\t\n\r]/g, "");
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(clean);
    const protocol = scheme ? scheme[0].toLowerCase() : base?.protocol;
    if (protocol === undefined) {
      return undefined;
    }
    const special = Object.hasOwn(PORTS, protocol);
    let rest = scheme ? clean.slice(scheme[0].length) : clean;
    const url = { protocol, username: "", password: "", hostname: "", port: "", pathname: "", search: "", hash: "", opaque: false };
    const hash = rest.indexOf("#");
    if (hash >= 0) {
      url.hash = rest.length > hash + 1 ? "#" + escape(rest.slice(hash + 1), FRAGMENT) : "";
      rest = rest.slice(0, hash);
    }
    const query = rest.indexOf("?");
    const search = query >= 0 ? rest.slice(query + 1) : undefined;
    rest = query >= 0 ? rest.slice(0, query) : rest;
    url.search = search ? "?" + escape(search, QUERY) : "";
    if (special) {
      rest = rest.replaceAll("\\", "/");
    }
    const relative = !scheme || (special && base?.protocol === protocol && !rest.startsWith("/"));
    if (relative && base?.opaque) {
      return undefined;
    }
    if (rest.startsWith("//") || (special && !relative)) {
      const authority = /^\/*([^/]*)(.*)$/s.exec(special && protocol !== "file:" ? rest : rest.replace(/^\/\//, ""));
      const at = authority[1].lastIndexOf("@");
      if (at >= 0) {
        const user = authority[1].slice(0, at);
        const colon = user.indexOf(":");
        url.username = escape(colon < 0 ? user : user.slice(0, colon), USER);
        url.password = colon < 0 ? "" : escape(user.slice(colon + 1), USER);
      }
      const place = /^(.*?)(?::(\d*))?$/s.exec(authority[1].slice(at + 1));
      url.hostname = hostName(place[1], special);
      if (url.hostname === undefined || (special && protocol !== "file:" && url.hostname === "") || Number(place[2]) > 65535) {
        return undefined;
      }
      url.port = place[2] ? String(Number(place[2])) : "";
      url.port = url.port === PORTS[protocol] ? "" : url.port;
      url.pathname = plain(escape(authority[2], PATH)) || (special ? "/" : "");
      return url;
    }
    if (relative) {
      Object.assign(url, { username: base.username, password: base.password, hostname: base.hostname, port: base.port });
      if (rest === "") {
        url.pathname = base.pathname;
        url.search = search === undefined ? base.search : url.search;
      } else {
        const from = rest.startsWith("/") ? "" : base.pathname.replace(/[^/]*$/, "") || "/";
        url.pathname = plain(escape(from + rest, PATH));
      }
      return url;
    }
    url.opaque = !rest.startsWith("/");
    url.pathname = url.opaque ? escape(rest, /[^ -~]/gu) : plain(escape(rest, PATH));
    return url;
  }
  const encodeForm = (text) => escape(String(text), /[^*\-.0-9A-Z_a-z ]/gu).replaceAll(" ", "+");
  const decodeForm = (text) =>
    host.decode(Uint8Array.from(
      same(host.encode(text.replaceAll("+", " "))).replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
      (c) => c.charCodeAt(0)));
  class URLSearchParams {
    #pairs = [];
    #changed;
    constructor(init = "", changed) {
      this.#changed = changed;
      if (typeof init === "string") {
        for (const part of init.replace(/^\?/, "").split("&").filter(Boolean)) {
          const at = part.indexOf("=");
          this.#pairs.push([decodeForm(at < 0 ? part : part.slice(0, at)), at < 0 ? "" : decodeForm(part.slice(at + 1))]);
        }
      } else {
        const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
        this.#pairs = Array.from(pairs, ([name, value]) => [String(name), String(value)]);
      }
    }
    get size() {
      return this.#pairs.length;
    }
    append(name, value) {
      this.#pairs.push([String(name), String(value)]);
      this.#changed?.(this);
    }
    delete(name, value) {
      this.#pairs = this.#pairs.filter(([n, v]) => n !== String(name) || (value !== undefined && v !== String(value)));
      this.#changed?.(this);
    }
    get(name) {
      return this.#pairs.find(([n]) => n === String(name))?.[1] ?? null;
    }
    getAll(name) {
      return this.#pairs.filter(([n]) => n === String(name)).map(([, value]) => value);
    }
    has(name, value) {
      return this.#pairs.some(([n, v]) => n === String(name) && (value === undefined || v === String(value)));
    }
    set(name, value) {
      const at = this.#pairs.findIndex(([n]) => n === String(name));
      if (at < 0) {
        this.append(name, value);
        return;
      }
      this.#pairs = this.#pairs.filter(([n], i) => n !== String(name) || i === at);
      this.#pairs[at][1] = String(value);
      this.#changed?.(this);
    }
    sort() {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#changed?.(this);
    }
    forEach(work) {
      this.#pairs.forEach(([name, value]) => work(value, name, this));
    }
    *entries() {
      yield* this.#pairs.map((pair) => [...pair]);
    }
    *keys() {
      yield* this.#pairs.map(([name]) => name);
    }
    *values() {
      yield* this.#pairs.map(([, value]) => value);
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      return this.#pairs.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join("&");
    }
  }
  class URL {
    #parts;
    #params;
    constructor(text, base) {
      const under = base === undefined ? undefined : parse(String(base));
      const parts = base !== undefined && under === undefined ? undefined : parse(String(text), under);
      if (parts === undefined) {
        throw Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL", input: String(text) });
      }
      this.#parts = parts;
      this.#follow();
    }
    #follow() {
      this.#params = new URLSearchParams(this.#parts.search, (params) => {
        const text = params.toString();
        this.#parts.search = text === "" ? "" : `?${text}`;
      });
    }
    #change(parts) {
      const before = this.#parts;
      this.#parts = { ...before, ...parts };
      const again = parse(this.href);
      this.#parts = again ?? before;
    }
    static canParse(text, base) {
      return URL.parse(text, base) !== null;
    }
    static parse(text, base) {
      try {
        return new URL(text, base);
      } catch {
        return null;
      }
    }
    get href() {
      const p = this.#parts;
      const user = p.username || p.password ? `${p.username}${p.password ? `:${p.password}` : ""}@` : "";
      const slashes = Object.hasOwn(PORTS, p.protocol) || p.hostname !== "" ? "//" : "";
      return `${p.protocol}${slashes}${user}${this.host}${p.pathname}${p.search}${p.hash}`;
    }
    set href(text) {
      this.#parts = new URL(text).#parts;
      this.#follow();
    }
    get origin() {
      const { protocol } = this.#parts;
      return Object.hasOwn(PORTS, protocol) && protocol !== "file:" ? `${protocol}//${this.host}` : "null";
    }
    get host() {
      return this.#parts.hostname + (this.#parts.port === "" ? "" : `:${this.#parts.port}`);
    }
    set host(text) {
      const [hostname, port] = String(text).split(":");
      this.#change({ hostname, port: port ?? this.#parts.port });
    }
    get searchParams() {
      return this.#params;
    }
    get search() {
      return this.#parts.search;
    }
    set search(text) {
      this.#change({ search: String(text) === "" ? "" : `?${String(text).replace(/^\?/, "").replaceAll("#", "%23")}` });
      this.#follow();
    }
    get hash() {
      return this.#parts.hash;
    }
    set hash(text) {
      this.#change({ hash: String(text) === "" ? "" : `#${String(text).replace(/^#/, "")}` });
    }
    get pathname() {
      return this.#parts.pathname;
    }
    set pathname(text) {
      this.#change({ pathname: String(text).replace(/^(?!\/)/, "/").replaceAll("?", "%3F").replaceAll("#", "%23") });
    }
    static {
      for (const name of ["protocol", "username", "password", "hostname", "port"]) {
        Object.defineProperty(URL.prototype, name, {
          get() {
            return this.#parts[name];
          },
          set(value) {
            this.#change({ [name]: name === "protocol" ? `${String(value).replace(/:.*$/, "")}:` : String(value) });
          },
          configurable: true,
          enumerable: true,
        });
      }
    }
    toString() {
      return this.href;
    }
    toJSON() {
      return this.href;
    }
  }
  Object.defineProperty(globalThis, "URL", { value: URL, writable: true, configurable: true });
  Object.defineProperty(globalThis, "URLSearchParams", { value: URLSearchParams, writable: true, configurable: true });
})
