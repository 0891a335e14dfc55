// invoice.js: gives a priced order the next invoice number; runs for every event of type order.priced.
//
// Two calls that read the same number cannot both keep it: the second to be committed is thrown away, with what it
// published, and runs again on the new one.
import { kv, log, publish } from "nexus";

export default function invoice(event) {
  const { order, cents } = event.data;
  const number = (kv.getJSON("last") ?? 0) + 1;
  kv.setJSON("last", number);

  const issued = { number, order, total: `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}` };
  log.info("issued", issued);
  publish("invoice.issued", issued);
  return issued;
}
