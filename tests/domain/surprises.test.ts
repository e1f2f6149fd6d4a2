/** A floor under surprises, by the model that ships: what is answered where judgements or pictures are out of the ordinary. */
import { explainMany } from '../../src/domain/explanations.ts';
import { idOf, toGlobalId } from '../../src/domain/ids.ts';
import type { Platform } from '../../src/domain/platform.ts';
import { readProfiles } from '../../src/domain/profiles.ts';
import { questionsForMany } from '../../src/domain/questions.ts';
import { type Score, scoreMany } from '../../src/domain/scores.ts';
import { similarImages } from '../../src/domain/similarImages.ts';
import { similarUsers } from '../../src/domain/similarity.ts';
import { type FeedbackItem, retractFeedback, submitFeedback } from '../../src/domain/submitFeedback.ts';
import { upsertUsers } from '../../src/domain/users.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../../src/inference/preferenceModel.ts';
import { Random } from '../../src/random.ts';
import { newTenant, type TestDatabase, testDatabase } from '../support/database.ts';
import { putReadyImages, testPlatform } from '../support/platform.ts';

const IMAGES = 40;
/** Of the images, the first are of embeddings that no picture should have, two of each. */
const ODD = [0, 65_504, 1e-40, -1e30];

let test: TestDatabase;
let model: PreferenceModel;
let platform: Platform;
let close: () => Promise<void>;
let tenant: Awaited<ReturnType<typeof newTenant>>;
let images: string[];

beforeAll(async () => {
  test = await testDatabase();
  model = await PreferenceModel.load(SHIPPED_MODEL);
  ({ platform, close } = await testPlatform(test, model));
  tenant = await newTenant(test.database, model);
  const random = new Random('surprises');
  const odd = ODD.flatMap((value) => [value, value]);
  const vectors = await model.itemVectors(
    Array.from({ length: IMAGES }, (_, i) => ({
      image: Float32Array.from({ length: 1664 }, () => odd[i] ?? Math.abs(random.normal())),
      text: i % 3 === 0 ? Float32Array.from({ length: 384 }, () => odd[i] ?? random.normal() / 20) : null,
    })),
  );
  const place = { tenantId: tenant.id, tower: model.towerHash };
  images = await tenant.run(() => putReadyImages(test.database, place, vectors));
});
afterAll(async () => {
  await model.close();
  await test.close();
  await close();
});

type Judged = readonly [image: number, sentiment: 'LIKE' | 'DISLIKE', weight?: number];

/** A new person who judged these images: their id. */
async function person(externalId: string, judged: readonly Judged[]): Promise<string> {
  const items = judged.map(
    ([image, sentiment, weight = 1]): FeedbackItem => ({
      ...{ user: { externalId }, image: { id: toGlobalId('Image', images[image]!) }, sentiment, weight },
    }),
  );
  return tenant.run(async () => {
    const { users } = await upsertUsers(platform, [{ externalId }]);
    expect((await submitFeedback(platform, { items })).userErrors).toEqual([]);
    return users[0]!.id;
  });
}

const scoresOf = async (userId: string): Promise<Score[]> => {
  const [ranking] = await tenant.run(() => scoreMany(platform, [{ userId, imageIds: images }]));
  expect(ranking!.notScored).toEqual([]);
  return ranking!.scores;
};
const margin = ({ like, dislike }: Score) => like - dislike;

/** Judgements of every kind at once: odd pictures, weights of all sizes, the same picture liked and disliked. */
const MIXED: readonly Judged[] = [
  ...([
    [0, 'LIKE'],
    [1, 'DISLIKE'],
    [2, 'LIKE', 10],
    [4, 'DISLIKE', 1e-6],
    [6, 'LIKE'],
  ] as const),
  ...([
    [10, 'LIKE'],
    [11, 'LIKE', 10],
    [12, 'DISLIKE'],
    [13, 'DISLIKE', 1e-6],
    [14, 'LIKE', Number.MIN_VALUE],
  ] as const),
];
const PEOPLE: Readonly<Record<string, readonly Judged[]>> = {
  'nothing judged': [],
  'one like': [[10, 'LIKE']],
  'one dislike': [[10, 'DISLIKE']],
  'a picture of zeros': [[0, 'LIKE']],
  'the same picture liked and disliked': [
    [0, 'LIKE'],
    [1, 'DISLIKE'],
  ],
  'a weight that is next to nothing': [[10, 'LIKE', Number.MIN_VALUE]],
  'everything liked': images20('LIKE'),
  'everything disliked': images20('DISLIKE'),
  mixed: MIXED,
};

function images20(sentiment: 'LIKE' | 'DISLIKE'): Judged[] {
  return Array.from({ length: 20 }, (_, i) => [i, sentiment] as const);
}

it.each(Object.keys(PEOPLE))('answers every question about somebody with %s', async (name) => {
  const userId = await person(name, PEOPLE[name]!);
  const scores = await scoresOf(userId);
  expect(scores).toHaveLength(IMAGES);
  const isNumber = ({ like, dislike, value, standardError }: Score) =>
    Number.isFinite(like) &&
    Number.isFinite(dislike) &&
    value >= 0 &&
    value <= 1 &&
    standardError >= 0 &&
    standardError <= 1;
  expect(scores.filter((score) => !isNumber(score))).toEqual([]);

  await tenant.run(async () => {
    const explained = await explainMany(
      platform,
      scores.map((score) => ({ score, influences: true })),
    );
    for (const explanation of explained) {
      if (explanation instanceof Error) throw explanation;
      expect(explanation.influences).toHaveLength(PEOPLE[name]!.length);
      const numbers = explanation.influences.flatMap(({ attention, effect }) => [attention, effect]);
      expect([...numbers, ...explanation.attention.weights].every(Number.isFinite)).toBe(true);
    }
    const profile = (await readProfiles(platform, [userId])).get(userId);
    if (PEOPLE[name]!.length === 0) expect(profile).toBeUndefined();
    else expect(Math.hypot(...profile!.vector)).toBeCloseTo(1, 5);
    const similar = (await similarUsers(platform, [userId])).get(userId) ?? [];
    expect(similar.every(({ similarity }) => similarity >= 0 && similarity <= 1)).toBe(true);
    const [questions] = await questionsForMany(platform, [{ userId, collection: null, first: 20 }]);
    expect(new Set(questions).size).toBe(20);
  });
});

it('tells the judgements of two people who judged alike as similarity 1', async () => {
  const [one, other] = [await person('one twin', MIXED), await person('other twin', MIXED)];
  const similar = await tenant.run(() => similarUsers(platform, [one, other]));
  const of = (list: string, whom: string) => similar.get(list)!.find(({ userId }) => userId === whom)!.similarity;
  expect(of(one, other)).toBeGreaterThan(1 - 1e-5);
  expect(of(other, one)).toBeGreaterThan(1 - 1e-5);
  expect(similar.get(one)!.every(({ similarity }) => similarity <= 1)).toBe(true);
});

it('finds pictures of zeros nearest to one of zeros', async () => {
  const [[nearest]] = (await tenant.run(() =>
    similarImages(platform, [{ imageId: images[0]!, ownerId: null, first: 5 }]),
  )) as [string[]];
  expect(nearest).toBe(images[1]);
});

it('says of each judgement the effect that taking it back has', async () => {
  const reached: number[] = [];
  for (const [i, judged] of MIXED.entries()) {
    const userId = await person(`retracts ${i}`, MIXED);
    const before = await scoresOf(userId);
    const explained = await tenant.run(() =>
      explainMany(
        platform,
        before.map((score) => ({ score, influences: true })),
      ),
    );
    const { feedbackId } = before[0]!.reading.judgements.find(({ imageId }) => imageId === images[judged[0]])!;
    const id = toGlobalId('Feedback', feedbackId);
    expect((await tenant.run(() => retractFeedback(platform, [id]))).retractedIds).toEqual([id]);
    expect(idOf('Feedback', id)).toBe(feedbackId);
    const after = new Map((await scoresOf(userId)).map((score) => [score.imageId, margin(score)]));
    for (const [k, score] of before.entries()) {
      const explanation = explained[k]!;
      if (explanation instanceof Error) throw explanation;
      const { effect } = explanation.influences.find((influence) => influence.feedbackId === feedbackId)!;
      expect(Math.abs(effect - (margin(score) - after.get(score.imageId)!))).toBeLessThan(1e-5);
      reached.push(Math.abs(effect));
    }
  }
  expect(Math.max(...reached)).toBeGreaterThan(0.1);
});
