// Leaves three streams in the middle, one of a planner, one of a call, and one that has said nothing yet, and prints
// how soon the engine, whose metrics are at the URL in ENGINE, does nothing any more.

import OpenAI from 'openai';

const client = new OpenAI({ maxRetries: 0 });

async function running() {
  const told = await (await fetch(process.env.ENGINE.replace('/v1', '/metrics'))).text();
  return Number(/vllm:num_requests_running (\d+)/.exec(told)[1]);
}

async function until(wanted) {
  while (!wanted(await running()));
}

const body = {
  messages: [{ role: 'user', content: 'Go on for ever' }],
  max_completion_tokens: 100_000,
};

for (const [what, given] of [
  ['planner', { model: 'anabranch/vote', stream: true }],
  ['call', { model: 'anabranch/engine', stream: true }],
  ['answer', { model: 'anabranch/vote' }],
]) {
  const leaving = new AbortController();
  const asking = client.chat.completions.create({ ...body, ...given }, { signal: leaving.signal });
  asking.catch(() => {});
  if (given.stream) {
    for await (const _ of await asking) break; // which closes the connection
    await until((n) => n === 0);
    const stream = await client.chat.completions.create({ ...body, ...given });
    stream[Symbol.asyncIterator]().next();
    await until((n) => n > 0);
    stream.controller.abort();
  } else {
    await until((n) => n > 0);
    leaving.abort();
  }
  const left = performance.now();
  await until((n) => n === 0);
  console.log(`${what}: ${Math.round(performance.now() - left)} ms`);
}
