/** Profiles with planted groups are told from profiles that say nothing. */
import { Random } from '../../../src/random.ts';
import { type TokenInput, tokenReport } from '../../../src/training/evaluation/tokenReport.ts';

const LAYERS = 2;
const HEADS = 2;
const TOKENS = 6;
const GROUPS = 3;
const PEOPLE = 90;

/** Each group holds tokens of its own as firmly as `grip` says; both halves of a person are drawn with noise. */
function people(grip: number): TokenInput {
  const random = new Random(`people ${grip}`);
  const groups = Array.from({ length: PEOPLE }, (_, i) => i % GROUPS);
  const softmax = (logits: number[]) => {
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    return logits.map((x) => Math.exp(x) / total);
  };
  const draw = (group: number, own: number[]) =>
    Array.from({ length: LAYERS * HEADS }, (_, head) =>
      softmax(
        Array.from({ length: TOKENS }, (_, t) => {
          return (t % GROUPS === group ? grip : 0) + own[head * TOKENS + t]! + 0.1 * random.normal();
        }),
      ),
    ).flat();
  const owns = groups.map(() => Array.from({ length: LAYERS * HEADS * TOKENS }, () => 0.5 * random.normal()));
  const noise = () => Array.from({ length: 4 }, () => random.normal());
  return {
    layers: LAYERS,
    heads: HEADS,
    tokens: TOKENS,
    groups,
    profiles: groups.map((group, i) => draw(group, owns[i]!)),
    halves: groups.map((group, i) => {
      const half = () => ({ profile: draw(group, owns[i]!), taste: noise() });
      return [half(), half()] as const;
    }),
    tastes: groups.map(noise),
    states: groups.map(noise),
  };
}

describe('profiles of planted groups', () => {
  const report = tokenReport(people(3), new Random('report'));

  it('give the groups back, also of people that the clusters were not found among', () => {
    expect(report.groups!.count).toBe(GROUPS);
    expect(report.groups!.ofProfiles.all).toBe(1);
    expect(report.groups!.ofProfiles.unseen).toBe(1);
    expect(report.groups!.ofProfiles.inOwnGroup).toBe(1);
    expect(report.groups!.nearestOfGroup.mean).toBe(3);
    expect(report.groups!.difference.low).toBeGreaterThan(0.2);
  });

  it('are told from vectors that know nothing of the groups', () => {
    expect(Math.abs(report.groups!.ofTastes.all)).toBeLessThan(0.1);
    expect(report.groups!.ofTastes.inOwnGroup).toBeLessThan(0.6);
    const at = (of: typeof report.clusters.profiles) => of.find(({ clusters }) => clusters === 2)!;
    expect(at(report.clusters.profiles).silhouette).toBeGreaterThan(at(report.clusters.states).silhouette);
  });

  it('are the same whichever half is read', () => {
    const { ofProfiles, ofTastes, clusters } = report.halves;
    expect(clusters).toBe(GROUPS);
    expect(ofProfiles.sameCluster).toBe(1);
    expect(ofProfiles.sameClusterByChance).toBeCloseTo(1 / 3, 2);
    expect(ofProfiles.mutualNearest).toBeGreaterThan(0.8);
    expect(ofProfiles.farther).toBeGreaterThan(0.99);
    expect(ofTastes.sameCluster).toBeLessThan(0.6);
    expect(ofTastes.mutualNearest).toBeLessThan(0.1);
    expect(ofTastes.farther).toBeCloseTo(0.5, 1);
  });
});

describe('tokens in use', () => {
  it('are all of them where everybody attends evenly', () => {
    const even = { ...people(0), profiles: Array.from({ length: PEOPLE }, () => Array(24).fill(1 / TOKENS)) };
    const { use, layerDistances } = tokenReport(even, new Random(1));
    expect(use.effective).toBeCloseTo(TOKENS, 9);
    expect(use.above2Percent).toBe(TOKENS);
    expect(use.entropyOfPerson).toBeCloseTo(Math.log(TOKENS), 9);
    expect(layerDistances).toEqual([expect.closeTo(0, 6), expect.closeTo(0, 6)]);
  });

  it('is one where all attention is there, and the person’s entropy is 0', () => {
    const profile = Array.from({ length: LAYERS * HEADS }, () => [0, 0, 1, 0, 0, 0]).flat();
    const { use } = tokenReport({ ...people(0), profiles: Array(PEOPLE).fill(profile) }, new Random(1));
    expect(use.effective).toBeCloseTo(1, 9);
    expect(use.effectiveByLayer).toEqual([expect.closeTo(1, 9), expect.closeTo(1, 9)]);
    expect(use.above2Percent).toBe(1);
    expect(use.entropyOfPerson).toBeCloseTo(0, 9);
  });

  it('tells tokens that all use from tokens that each uses alone', () => {
    const one = (token: number) => Array.from({ length: 24 }, (_, i) => (i % TOKENS === token ? 1 : 0));
    const { use } = tokenReport(
      { ...people(0), profiles: Array.from({ length: PEOPLE }, (_, i) => one(i % 2)) },
      new Random(1),
    );
    expect(use.effective).toBeCloseTo(2, 9);
    expect(use.entropyOfPerson).toBeCloseTo(0, 9);
  });
});

it('says nothing of groups where none were planted', () => {
  const { groups: _, ...without } = people(3);
  expect(tokenReport(without, new Random(1)).groups).toBeNull();
});
