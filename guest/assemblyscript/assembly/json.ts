// JSON values: enough for events. What is not there is Json.NULL, so that a path can be followed without a check at each step.

enum Kind { Null, Bool, Number, Text, Array, Object }
const DEPTH_MAX: i32 = 128;

export class Json {
  static readonly NULL: Json = new Json(Kind.Null);

  private number: f64 = 0; // also a bool
  private text: string = "";
  private items: Json[] = [];
  private names: string[] = [];

  private constructor(private kind: Kind) {}

  static object(): Json {
    return new Json(Kind.Object);
  }
  static array(): Json {
    return new Json(Kind.Array);
  }
  /** Of a string, a bool, a number of any type, or a Json itself. */
  static of<T>(value: T): Json {
    if (isString<T>()) {
      const json = new Json(Kind.Text);
      json.text = value as string;
      return json;
    } else if (isBoolean<T>()) {
      const json = new Json(Kind.Bool);
      json.number = value ? 1 : 0;
      return json;
    } else if (isInteger<T>() || isFloat<T>()) {
      const json = new Json(Kind.Number);
      json.number = value as f64;
      return json;
    } else {
      return value as Json;
    }
  }
  /** Set an object's member; gives the object, for the next. */
  set<T>(name: string, value: T): Json {
    const at = this.names.lastIndexOf(name);
    if (at >= 0) {
      this.items[at] = Json.of<T>(value);
    } else {
      this.names.push(name);
      this.items.push(Json.of<T>(value));
    }
    return this;
  }
  /** Add to an array; gives the array, for the next. */
  add<T>(value: T): Json {
    this.items.push(Json.of<T>(value));
    return this;
  }

  /** The member of this name; Json.NULL where there is none. */
  get(name: string): Json {
    const at = this.names.lastIndexOf(name);
    return at < 0 ? Json.NULL : this.items[at];
  }
  /** The item of an array; Json.NULL beyond its end. */
  at(index: i32): Json {
    return this.kind == Kind.Array && index >= 0 && index < this.items.length ? this.items[index] : Json.NULL;
  }
  get length(): i32 {
    return this.items.length;
  }
  isNull(): bool {
    return this.kind == Kind.Null;
  }
  /** The text; empty for any other value. */
  asString(): string {
    return this.text;
  }
  /** The number; 0 for any other value. Whole numbers are exact up to 2^53. */
  asNumber(): f64 {
    return this.kind == Kind.Number ? this.number : 0;
  }
  asInteger(): i64 {
    return this.asNumber() as i64;
  }
  asBool(): bool {
    return this.kind == Kind.Bool && this.number != 0;
  }

  toString(): string {
    switch (this.kind) {
      case Kind.Bool: return this.number != 0 ? "true" : "false";
      case Kind.Number: return numberText(this.number);
      case Kind.Text: return quote(this.text);
      case Kind.Array: {
        const parts: string[] = [];
        for (let i = 0; i < this.items.length; i++) parts.push(this.items[i].toString());
        return "[" + parts.join(",") + "]";
      }
      case Kind.Object: {
        const parts: string[] = [];
        for (let i = 0; i < this.items.length; i++) parts.push(quote(this.names[i]) + ":" + this.items[i].toString());
        return "{" + parts.join(",") + "}";
      }
      default: return "null";
    }
  }

  /** The value that the text holds; the call ends by an exception where it is wrong. */
  static parse(text: string): Json {
    const parser = new Parser(text);
    const value = parser.value(0);
    parser.skipSpace();
    parser.must(parser.at == text.length, "more text behind the value");
    return value;
  }
}

function numberText(value: f64): string {
  if (!isFinite(value)) return "null";
  return Math.abs(value) <= 9007199254740992 && Math.trunc(value) == value ? (value as i64).toString() : value.toString();
}

function quote(text: string): string {
  let out = '"';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    out += text.slice(from, i);
    from = i + 1;
    if (c >= 0x20) out += "\\" + String.fromCharCode(c);
    else if (c == 0x0a) out += "\\n";
    else if (c == 0x0d) out += "\\r";
    else if (c == 0x09) out += "\\t";
    else out += "\\u00" + (c < 0x10 ? "0" : "1") + (c & 15).toString(16);
  }
  return out + text.slice(from) + '"';
}

class Parser {
  at: i32 = 0;
  constructor(private text: string) {}

  must(holds: bool, what: string): void {
    if (!holds) throw new Error("not JSON: " + what + " at character " + this.at.toString());
  }
  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : 0;
  }
  skipSpace(): void {
    while (this.peek() == 0x20 || (this.peek() >= 9 && this.peek() <= 13)) this.at++;
  }
  private take(c: i32): bool {
    this.skipSpace();
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }
  private word(word: string, value: Json): Json {
    this.must(this.text.substr(this.at, word.length) == word, "an unknown word");
    this.at += word.length;
    return value;
  }
  value(depth: i32): Json {
    this.skipSpace();
    this.must(depth <= DEPTH_MAX, "too deeply nested");
    const c = this.peek();
    if (c == 0x22) return Json.of<string>(this.string());
    if (c == 0x5b) return this.array(depth);
    if (c == 0x7b) return this.object(depth);
    if (c == 0x74) return this.word("true", Json.of<bool>(true));
    if (c == 0x66) return this.word("false", Json.of<bool>(false));
    if (c == 0x6e) return this.word("null", Json.NULL);
    return this.number();
  }
  private number(): Json {
    const from = this.at;
    for (let c = this.peek(); (c >= 0x30 && c <= 0x39) || c == 0x2b || c == 0x2d || c == 0x2e || c == 0x45 || c == 0x65; c = this.peek()) this.at++;
    this.must(this.at > from, "no value");
    const value = parseFloat(this.text.slice(from, this.at));
    this.must(isFinite(value), "a wrong number");
    return Json.of<f64>(value);
  }
  private array(depth: i32): Json {
    const array = Json.array();
    this.at++;
    if (this.take(0x5d)) return array;
    while (true) {
      array.add<Json>(this.value(depth + 1));
      if (this.take(0x5d)) return array;
      this.must(this.take(0x2c), "neither , nor ]");
    }
  }
  private object(depth: i32): Json {
    const object = Json.object();
    this.at++;
    if (this.take(0x7d)) return object;
    while (true) {
      this.skipSpace();
      this.must(this.peek() == 0x22, "no name");
      const name = this.string();
      this.must(this.take(0x3a), "no :");
      object.set<Json>(name, this.value(depth + 1));
      if (this.take(0x7d)) return object;
      this.must(this.take(0x2c), "neither , nor }");
    }
  }
  private string(): string {
    let out = "";
    let from = ++this.at;
    while (true) {
      const c = this.peek();
      this.must(c >= 0x20, "a text without end");
      if (c == 0x22) break;
      this.at++;
      if (c != 0x5c) continue;
      out += this.text.slice(from, this.at - 1);
      out += this.escape();
      from = this.at;
    }
    out += this.text.slice(from, this.at++);
    return out;
  }
  private escape(): string {
    const c = this.peek();
    this.at++;
    if (c == 0x6e) return "\n";
    if (c == 0x74) return "\t";
    if (c == 0x72) return "\r";
    if (c == 0x62) return "\b";
    if (c == 0x66) return "\f";
    if (c == 0x75) {
      const unit = parseInt(this.text.substr(this.at, 4), 16);
      this.must(isFinite(unit), "a wrong escape");
      this.at += 4;
      return String.fromCharCode(unit as i32);
    }
    this.must(c == 0x22 || c == 0x5c || c == 0x2f, "an unknown escape");
    return String.fromCharCode(c);
  }
}
