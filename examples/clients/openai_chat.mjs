// OpenAI's own client for Node: an answer, a stream of it with what leads to it, an answer as data, errors, and
// an answer in the background that is resumed.
//
//     OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… node openai_chat.mjs
//
// Prints each of them in turn.

import OpenAI, { BadRequestError, NotFoundError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const content =
  'Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?';
const messages = [{ role: 'user', content }];

const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY

// One question; `anabranch` tells what only this service knows.
const answer = await client.chat.completions.create({
  model: 'anabranch/vote',
  messages,
  anabranch: { options: { n: 5 }, content: 'answer' },
});
const { trust, calls } = answer.anabranch;
console.log(`answer: ${answer.choices[0].message.content} (${trust}, ${calls} calls)`);

// The same, as it comes: first how the branches vote, then the answer.
const chunks = await client.chat.completions.create({
  model: 'anabranch/vote',
  messages,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of chunks) {
  for (const { delta } of chunk.choices) {
    process.stdout.write(delta.reasoning_content ?? delta.content ?? '');
  }
  if (chunk.usage) console.log(`\ntokens: ${chunk.usage.total_tokens}`);
}

// An answer that is checked against a schema before it comes.
const Event = z.object({ name: z.string(), day: z.string(), people: z.array(z.string()) });
const parsed = await client.chat.completions.parse({
  model: 'anabranch/vote',
  messages: [
    { role: 'system', content: 'Extract the event.' },
    { role: 'user', content: 'Alice and Bob are going to a science fair on Friday.' },
  ],
  response_format: zodResponseFormat(Event, 'event'),
});
const event = parsed.choices[0].message.parsed;
console.log(`event: ${event.name} on ${event.day} with ${event.people.join(' and ')}`);

// What cannot succeed is an exception of its own kind, which says what would be right.
for (const wrong of [{ model: 'gpt-none' }, { model: 'anabranch/vote', logprobs: true }]) {
  try {
    await client.chat.completions.create({ messages, ...wrong });
  } catch (error) {
    if (!(error instanceof NotFoundError || error instanceof BadRequestError)) throw error;
    console.log(`${error.constructor.name}: ${error.code}, ${error.param}`);
  }
}

// An answer that goes on while nobody listens.
const events = await client.responses.create({
  model: 'anabranch/vote',
  input: content,
  background: true,
  stream: true,
});
let id, last;
for await (const event of events) {
  last = event.sequence_number;
  if (event.type === 'response.created') id = event.response.id;
  if (last === 3) break; // the connection is closed, and the work goes on
}
console.log(`left after event ${last}`);
const missed = await client.responses.retrieve(id, { stream: true, starting_after: last });
const numbers = [];
for await (const event of missed) numbers.push(event.sequence_number);
console.log(`went on with event ${numbers[0]}`);
const done = await client.responses.retrieve(id);
console.log(`${done.status}: ${done.output_text}`);
