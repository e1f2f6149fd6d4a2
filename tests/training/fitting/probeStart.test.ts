/** The probe listens where people differ and agree with themselves, and not where pictures are noise. */
import { Random } from '../../../src/random.ts';
import { scaleRows } from '../../../src/training/fitting/inputTransform.ts';
import { matrix, row } from '../../../src/training/fitting/linearAlgebra.ts';
import { fitProbeStart } from '../../../src/training/fitting/probeStart.ts';
import { plantGroups, SimulatedPeople } from '../../../src/training/simulation/people.ts';
import { readPictures, splitPictures } from '../../../src/training/simulation/pictures.ts';

const ARTISTS = 240;
const EACH = 2;
/** Numbers of the metric that pictures' looks are in, and others that are noise of each picture. */
const TELLING = 8;
const NOISE = 24;
const WIDTH = 40;

const random = new Random('probe');
const pictures = readPictures(
  Array.from({ length: ARTISTS * EACH }, (_, i) => {
    const artist = Math.floor(i / EACH);
    return {
      file: `${i}.jpg`,
      artist: `artist ${artist}`,
      categories: [`tag ${artist % 12}`, `tag ${(artist * 7) % 11}`],
    };
  }),
);
const split = splitPictures(pictures, 1);
const z = matrix(
  ARTISTS * EACH,
  TELLING,
  Array.from({ length: ARTISTS * EACH * TELLING }, () => random.normal()),
);
const metrics = (() => {
  const all = matrix(z.rows, TELLING + NOISE);
  for (let i = 0; i < z.rows; i++) {
    row(all, i).set(row(z, i));
    for (let k = TELLING; k < TELLING + NOISE; k++) row(all, i)[k] = random.normal();
  }
  return scaleRows(all);
})();
const people = new SimulatedPeople({ pictures, split, z, groups: plantGroups(random.split('groups'), 6, TELLING) });

it('weighs what tells people apart above what is noise, whatever the width', () => {
  const weights = fitProbeStart(people, metrics, new Random('people')).weights(WIDTH, new Random('turn'));
  expect(weights).toHaveLength((TELLING + NOISE) * WIDTH);
  const strength = (k: number) => Math.hypot(...weights.subarray(k * WIDTH, (k + 1) * WIDTH));
  const mean = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => strength(from + i)).reduce((sum, value) => sum + value, 0) /
    (to - from);
  expect(mean(0, TELLING)).toBeGreaterThan(1.5 * mean(TELLING, TELLING + NOISE));
});

it('is the same for the same people and turn, another for another turn', () => {
  const start = fitProbeStart(people, metrics, new Random('people'));
  expect(fitProbeStart(people, metrics, new Random('people')).weights(4, new Random('a'))).toEqual(
    start.weights(4, new Random('a')),
  );
  expect(start.weights(4, new Random('b'))).not.toEqual(start.weights(4, new Random('a')));
});
