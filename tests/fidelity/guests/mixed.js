// tests/fidelity/guests/mixed.js: Math.random, Date, RegExp, sorting, floating point.
const event = JSON.parse(input);
const words = JSON.stringify(event).match(/[a-z]+/gi) ?? [];
const shuffled = words
  .map((word) => [Math.random(), word])
  .sort(([a], [b]) => a - b)
  .map(([, word]) => word);
console.error(`${words.length} words`);
JSON.stringify({ shuffled, now: Date.now(), date: new Date().toISOString(), root: Math.sin(Math.random()) });
