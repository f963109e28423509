// Vercel's AI SDK with its provider for OpenAI-compatible services: text, a stream with what leads to it, and data.
//
//     OPENAI_BASE_URL=http://localhost:8080/v1 OPENAI_API_KEY=anb_… node ai_sdk.mjs
//
// Prints each of them in turn.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, streamText } from 'ai';
import { z } from 'zod';

const prompt =
  'Natalia sold 48 clips in April, and half as many in May. How many clips did she sell altogether?';

const anabranch = createOpenAICompatible({
  name: 'anabranch',
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});

// What is under the provider's name goes into the body: here, the options of the vote.
const { text, usage } = await generateText({
  model: anabranch('anabranch/vote'),
  prompt,
  providerOptions: { anabranch: { anabranch: { options: { n: 5 }, content: 'answer' } } },
});
console.log(`answer: ${text}, tokens: ${usage.totalTokens}`);

// The branches' vote comes as reasoning, the answer as text.
const { fullStream } = streamText({ model: anabranch('anabranch/vote'), prompt });
for await (const part of fullStream) {
  if (part.type === 'reasoning-delta' || part.type === 'text-delta') process.stdout.write(part.text);
  if (part.type === 'error') throw part.error;
}
console.log();

const { object } = await generateObject({
  model: anabranch('anabranch/vote'),
  schema: z.object({ name: z.string(), day: z.string(), people: z.array(z.string()) }),
  system: 'Extract the event.',
  prompt: 'Alice and Bob are going to a science fair on Friday.',
});
console.log(`event: ${object.name} on ${object.day} with ${object.people.join(' and ')}`);
