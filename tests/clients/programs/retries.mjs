// What OpenAI's client for Node tries again, and what it does not: prints what came of each, and of how many requests
// all but the refusals by rate are.

import OpenAI, { ConflictError, NotFoundError } from 'openai';

const messages = [{ role: 'user', content: 'How many clips?' }];
const once = { headers: { 'Idempotency-Key': 'retries.mjs' } };
const statuses = [];
const client = new OpenAI({
  maxRetries: 8,
  fetch: async (...request) => {
    const response = await fetch(...request);
    statuses.push(response.status);
    return response;
  },
});
const ask = (given, options) =>
  client.chat.completions.create({ model: 'anabranch/direct', messages, ...given }, options);

// A key that may not ask twice at once: the client waits as long as it is told, and gets its answers.
const answers = [];
for (let i = 0; i < 3; i++) answers.push(await ask({}, once));
const right = answers.filter((each) => each.choices[0].message.content.includes('72')).length;
console.log(`answers: ${right}, waited: ${statuses.includes(429)}`);

// By itself, the client would try the first of these again.
for (const [what, given, options] of [
  ['conflict', { messages: [{ role: 'user', content: 'Other clips?' }] }, once],
  ['no model', { model: 'none' }],
]) {
  statuses.length = 0;
  try {
    await ask(given, options);
  } catch (error) {
    if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
    const sent = statuses.filter((status) => status !== 429).length;
    console.log(`${what}: ${error.code}, sent: ${sent}`);
  }
}
