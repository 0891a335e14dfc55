// The types of the module "nexus", for editors and TypeScript.
declare module "nexus" {
  type Fields = Record<string, unknown>;
  type Bytes = ArrayBuffer | ArrayBufferView;

  /** The CloudEvent that the function was called for; extension attributes are members too. */
  interface Event<Data = any> {
    specversion: string;
    id: string;
    source: string;
    type: string;
    time?: string;
    subject?: string;
    datacontenttype?: string;
    data?: Data;
    data_base64?: string;
    [attribute: string]: unknown;
  }
  const log: Record<"debug" | "info" | "warn" | "error", (text: string, fields?: Fields) => void>;
  function publish(type: string, data: unknown): void;
  function publish(type: string, data: string | Bytes, contentType: string): void;
  const kv: {
    get(key: string): string | undefined;
    getBytes(key: string): Uint8Array | undefined;
    getJSON<Value = any>(key: string): Value | undefined;
    set(key: string, value: string | Bytes): void;
    setJSON(key: string, value: unknown): void;
    delete(key: string): void;
  };
  function respond(status: number, headers?: Record<string, string | string[]> | Iterable<[string, string]>): void;
  function now(): bigint;
  function random(count: number): Uint8Array;
  function env(name: string): string | undefined;
}
