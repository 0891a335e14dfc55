// The module "buffer" (and "node:buffer"), for packages that import it.
export const Buffer = globalThis.Buffer;
export default { Buffer };
