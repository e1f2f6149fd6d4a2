/** Every kind of hostile request there is, how often each is drawn, and the request of a number. */
import { Random } from '../../../src/random.ts';
import { batch, hostileVariables, malformedJson, wrongType } from './bodies.ts';
import { forgedCredential } from './credentials.ts';
import { brokenDocument, costly, grammar } from './documents.ts';
import { halfOpen, oddHeaders, randomRoute, socketGarbage } from './http.ts';
import { form, pictureAddress, rawPicture } from './pictures.ts';
import type { FuzzRequest, FuzzTarget, Generator } from './target.ts';

/** The kind of which none may be answered. */
export const FORGED = 'forged credential';

/** Parts of 100. */
const KINDS: Readonly<Record<string, readonly [parts: number, draw: Generator]>> = {
  'malformed JSON': [10, malformedJson],
  'wrong type': [5, wrongType],
  'list of requests': [3, batch],
  'random document': [14, grammar],
  'broken document': [12, brokenDocument],
  'costly document': [8, costly],
  'hostile variables': [16, hostileVariables],
  'damaged picture': [5, rawPicture],
  'damaged form': [5, form],
  'unsigned address': [3, pictureAddress],
  [FORGED]: [7, forgedCredential],
  'random route': [4, randomRoute],
  'odd headers': [3, oddHeaders],
  'socket garbage': [3, socketGarbage],
  'half-open socket': [2, halfOpen],
};

export const FUZZ_KINDS = Object.keys(KINDS);
const DRAWN_FROM = Object.entries(KINDS).flatMap(([kind, [parts, draw]]) =>
  Array.from({ length: parts }, () => ({ kind, draw })),
);

/** The request of this number: the same again for the same seed and target. */
export function drawRequest(seed: string, number: number, target: FuzzTarget): { kind: string; request: FuzzRequest } {
  const random = new Random(`fuzz/${seed}/${number}`);
  const { kind, draw } = random.pick(DRAWN_FROM);
  return { kind, request: draw(random, target) };
}
